import type { RequestHandler, Router } from 'express';
import { type Access, callerOf } from './auth.ts';
import { jsonBody, parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { entityParams, sceneBody, sessionBody } from './schemas.ts';

/** Sessions and scenes, created or updated by the caller's own ids. */
export function entities(router: Router, { metadata }: ApiPorts, access: Access): void {
  const postSession: RequestHandler = async (req, res) => {
    const { project } = parse(entityParams.pick({ project: true }), req.params);
    const { session, name } = parse(sessionBody, req.body);
    await access.require(callerOf(res), 'assets:write', project);
    const { created } = await metadata.upsertSession(project, session, { name });
    res.status(created ? 201 : 200).json({ project, session, name, created });
  };
  const postScene: RequestHandler = async (req, res) => {
    const { project, session } = parse(entityParams.omit({ scene: true }), req.params);
    const { scene, name } = parse(sceneBody, req.body);
    await access.require(callerOf(res), 'assets:write', project);
    const { created } = await metadata.upsertScene(project, session, scene, { name });
    res.status(created ? 201 : 200).json({ project, session, scene, name, created });
  };
  resource(router, '/v1/projects/:project/sessions', { post: [...jsonBody, postSession] });
  resource(router, '/v1/projects/:project/sessions/:session/scenes', { post: [...jsonBody, postScene] });
}
