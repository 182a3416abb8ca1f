# The API and the worker in one image: `node src/api/main.ts` or `node src/processors/main.ts`. Node runs the
# TypeScript as it is, so there is nothing to build.
FROM node:24.21.0-slim AS base
WORKDIR /app
ENV NODE_ENV=production REELAY_HOST=0.0.0.0 REELAY_DATA=/data NODE_COMPILE_CACHE=/tmp/node
RUN mkdir /data && chown node:node /data

FROM base AS packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

# Brings the functions to Convex; it alone needs Convex's command line.
FROM packages AS deploy
COPY . .
USER node
ENTRYPOINT ["bash", "scripts/deploy.sh"]

# Without the tools that come along with libraries and that nothing loads at run time.
FROM packages AS lean
RUN rm -rf node_modules/typescript node_modules/@typescript node_modules/prettier \
      node_modules/convex/node_modules node_modules/convex/src node_modules/convex/dist/cli.bundle.cjs \
    && find node_modules -name '*.map' -delete

FROM base
COPY --from=lean /app/node_modules node_modules
COPY package.json ./
COPY convex/_generated convex/_generated
COPY src src
USER node
EXPOSE 3000 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/api/main.ts"]
