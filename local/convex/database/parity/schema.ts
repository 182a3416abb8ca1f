import { defineSchema, defineTable } from 'convex/server';
import { v } from 'convex/values';

export default defineSchema({
  things: defineTable({
    a: v.optional(v.any()),
    b: v.optional(v.any()),
    rank: v.number(),
    count: v.optional(v.union(v.int64(), v.null())),
    nested: v.optional(v.object({ x: v.optional(v.any()), tags: v.optional(v.array(v.string())) })),
  })
    .index('by_a', ['a'])
    .index('by_a_and_b', ['a', 'b'])
    .index('by_rank', ['rank'])
    .index('by_nested_x_and_count', ['nested.x', 'count']),
  others: defineTable({ name: v.string() }),
});
