// An identity provider that this project did not write, for its tests:
//
//   node provider.mjs CERT.pem KEY.pem CLIENT-SECRET
//
// prints its issuer, reads the address to which it may send users back, and runs
// until its standard input ends. Whoever signs in is who they say; ada is in the
// groups Guards and Staff.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const [cert, key, secret] = process.argv.slice(2);
const groups = { ada: ["Guards", "Staff"] };

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
server.listen(0, "127.0.0.1", () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  console.log(issuer);
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => process.exit(0));
  lines.once("line", (back) => {
    const provider = new Provider(issuer, {
      clients: [{ client_id: "understudy", client_secret: secret, redirect_uris: [back], grant_types: ["authorization_code"], response_types: ["code"] }],
      scopes: ["openid", "profile", "groups"],
      claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
      conformIdTokenClaims: false,
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id, groups: groups[id] ?? [] }) }),
      pkce: { required: () => true, methods: ["S256"] },
      cookies: { keys: ["for tests"] },
      features: { devInteractions: { enabled: true } },
    });
    server.on("request", provider.callback());
    console.log("ready");
  });
});
