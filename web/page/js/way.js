// Which of two ways is taken. Pure.

/** decide is the rule. It returns what is known of a server after both ways were asked. */
export function decide(before, direct, relayed) {
  if (direct) return { way: "direct", up: true };
  // A direct way that worked and breaks is a failure of the server, not of trust,
  // unless the other way shows that the server is there.
  if (relayed) return { way: "relayed", up: true };
  return { way: before.way, up: false };
}
