package recording

import "runtime/debug"

// gcPercent is how much garbage there may be beside what lives. What lives is
// coded video, which the collector does not look into: collecting often costs
// little, and garbage is what a server's memory would mostly be.
const gcPercent = 5

// Frugal sets this process's garbage collector for recording. A program calls it
// once at its start, before it makes a Server.
func Frugal() { debug.SetGCPercent(gcPercent) }
