// The flows of the benchmark as a service of Restate, over HTTP/2 on the port that is given.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http2";
import { createEndpointHandler, service } from "@restatedev/restate-sdk";

const step = (n) => n;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const flow = service({
  name: "flow",
  handlers: {
    one: async (ctx, { n }) => ctx.run("step", () => step(n)),
    ten: async (ctx, { n }) => {
      for (let i = 0; i < 10; i++) n = await ctx.run(`step ${i}`, () => step(n));
      return n;
    },
    stay: async (ctx, { n, notes, ms }) => {
      n = await ctx.run("arrive", () => step(n));
      n = await ctx.run("stay", async () => {
        appendFileSync(notes, `begin ${n}\n`);
        await sleep(ms);
        return n;
      });
      return ctx.run("leave", () => appendFileSync(notes, `end ${n}\n`));
    },
  },
});

createServer(createEndpointHandler({ services: [flow] })).listen(Number(process.argv[2]), "127.0.0.1");
