package main

// canary is a bug that is planted in the code as it ships, in a copy.
type canary struct {
	name   string
	breaks string // what the oracle must notice
	edits  []edit
}

// edit replaces a text that occurs exactly once in a file.
type edit struct{ file, old, new string }

const (
	watch      = "internal/failover/watch.go"
	sighting   = "internal/failover/sighting.go"
	takeover   = "internal/failover/takeover.go"
	decision   = "internal/failover/failover.go"
	leases     = "internal/management/leases.go"
	veto       = "internal/management/veto.go"
	pulse      = "internal/poll/pulse.go"
	restored   = "internal/management/restored.go"
	lease      = "lease.go"
	failback   = "internal/recording/failback.go"
	mirrored   = "internal/recording/mirror.go"
	aligned    = "internal/recording/alignment.go"
	mirroring  = "internal/failover/mirror.go"
	orders     = "internal/failover/orders.go"
	handover   = "internal/management/handover.go"
	single     = "internal/recording/single.go"
	vocabulary = "camera.go"
	solo       = "internal/failover/alone.go"
	shelf      = "internal/bundle/shelf.go"
	mergeBatch = "internal/merge/batch.go"
	mergeSend  = "internal/merge/send.go"
	mergeTake  = "internal/merge/receive.go"
)

var canaries = []canary{
	{"forget the veto", "no takeover while a witness sees the server", []edit{
		{watch, "case lost && w.witness(s.at) != \"\":", "case lost && w.witness(s.at) == \"a ghost\":"}}},
	{"a witness's news is ordered by the wall clock", "no takeover while a witness sees the server", []edit{
		{watch, "one.Running > 0 && other.Running > 0", "false"}}},
	{"a witness that saw it before is believed", "a reachable camera is recorded", []edit{
		{sighting, "return later(state, w.state) >= ahead\n", "return later(state, w.state) >= ahead-time.Hour\n"}}},
	{"silence is noticed late", "recorded within 5 s + GOP", []edit{
		{watch, "s.at-w.quiet > bound {", "s.at-w.quiet > 8*bound {"}}},
	{"silence is never noticed", "recorded within 5 s + GOP", []edit{
		{watch, "s.at-w.quiet > bound {", "s.at-w.quiet > bound && s.at < 0 {"}}},
	{"a fresh connection's silence proves nothing", "recorded within 5 s + GOP", []edit{
		{watch, "lost := w.refusedEnough() || w.unheard > 0", "lost := w.refusedEnough()"}}},
	{"refusals prove nothing", "recorded within 5 s + GOP", []edit{
		{watch, "refusalsMin  = 3 ", "refusalsMin  = 30000 "}}},
	{"a suspicion is a death", "no takeover from a healthy server", []edit{
		{watch, "lost := w.refusedEnough() || w.unheard > 0", "lost := w.refusedEnough() || w.suspected > 0"}}},
	{"a planned stop is ignored", "a planned stop loses nothing", []edit{
		{watch, "case w.state.Leaving != \"\":", "case false:"}}},
	{"failed storage is ignored", "a reachable camera is recorded", []edit{
		{watch, "case w.broken > 0 && s.at-w.broken >= unwritable && s.own.Writable:", "case false:"},
		{watch, "if ok && s.own.Writable && s.neglected(w, camera, p) {", "if ok && camera == \"\" {"}}},
	{"cameras that are not recorded are ignored", "a reachable camera is recorded", []edit{
		{watch, "if ok && s.own.Writable && s.neglected(w, camera, p) {", "if ok && camera == \"\" {"}}},
	{"the rank's delay is ignored", "those that come first are left the time", []edit{
		{takeover, "wait := time.Duration(duty.rank) * s.rankDelay", "wait := time.Duration(0)"}}},
	{"in a planned stop the second does not wait for the first", "those that come first are left the time", []edit{
		{takeover, "wait += coverPlanned", "wait += 0"}}},
	{"a camera is taken from a standby that is well", "one holder at a time", []edit{
		{takeover, "case stand.takes(camera):", "case true:"}}},
	{"recording waits for the lease", "recorded whatever the management server does", []edit{
		{takeover, "lease.Holder != s.self && !demanded && !tried {", "lease.Holder != s.self && !tried {"}}},
	{"release though nobody else records", "nobody puts a camera down that nobody else records", []edit{
		{takeover, "\tcase other == \"\":\n\t\treturn \"\"", "\tcase other == \"\":\n\t\treturn \"it is not wanted\""}}},
	{"release for a watermark that moved once", "nobody puts a camera down that nobody else records", []edit{
		{takeover, "w.verdict.answers() && p.receiving && p.steady > 0", "w.verdict.answers() && p.steady > 0"},
		{watch, "if unseen {", "if unseen && at < 0 {"}}},
	{"release never", "after healing nobody else records", []edit{
		{takeover, "case s.at-p.steady >= overlapBound && s.at-h.freed >= overlapBound:", "case false:"},
		{takeover, "case h.proven:", "case false:"}}},
	{"a claim names an epoch that it hopes for", "the lease moves when home is gone", []edit{
		{takeover, "Epoch: lease.Epoch}", "Epoch: lease.Epoch + 1}"}}},
	{"a claim's id is used again for another", "the lease moves when home is gone", []edit{
		{takeover, "\t\t\tc.count++\n", ""}}},
	{"leases are not learned from answers", "the lease moves when home is gone", []edit{
		{takeover, "\tfor _, l := range a.Answer.Granted {\n\t\ts.learn(l)\n\t}\n", ""},
		{decision, "l.Epoch >= s.leases[l.Camera].Epoch", "l.Epoch > s.leases[l.Camera].Epoch && l.Epoch < 3"}}},
	{"footage is never sent home", "nothing left to merge", []edit{
		{decision, "w.SendHome[id] = address.Merge", "delete(w.SendHome, id)"}}},
	{"what was recorded at the last stop is forgotten", "a reachable camera is recorded", []edit{
		{decision, "s.held[c.Camera.ID] = holding{camera: c, home: c.Camera.Home, freed: s.at}", "_ = c"}}},
	{"skip the epoch check", "a claim is granted under the epoch that it expected", []edit{
		{leases, "case lease.Epoch != wanted.Epoch:", "case false:"}}},
	{"epochs are counted by camera", "an epoch has one holder, also over a restore", []edit{
		{leases, "Epoch: highest + 1", "Epoch: lease.Epoch + 1"}}},
	{"a restored database is not found out", "an epoch has one holder, also over a restore", []edit{
		{restored, "if epoch-known > maxRatchet ||", "if epoch-known > 0 ||"}}},
	{"a restored database goes on right above what was seen", "an epoch has one holder, also over a restore", []edit{
		{restored, "ratchetLeap = 1000", "ratchetLeap = 0"}}},
	{"a management server decides before it has looked around", "an epoch has one holder, also over a restore", []edit{
		{pulse, "return p.fresh || at-p.since >= blindMax", "return true"}}},
	{"who is heard at work loses its camera", "no takeover while a witness sees the server", []edit{
		{veto, "if !wanted.Lost || !working ||", "if working || !wanted.Lost ||"}}},
	{"a repeated claim is decided again", "a repeated claim is answered alike", []edit{
		{leases, "case !known:", "case true:"}}},
	{"the epoch of a lease does not grow", "epochs grow", []edit{
		{leases, "Epoch: highest + 1", "Epoch: lease.Epoch"},
		{lease, "if l.Epoch > had {", "if l.Epoch >= had {"}}},
	{"failback without hold-down", "home is steady for the hold-down", []edit{
		{failback, "steady >= wait && answers {", "steady >= min(wait, 0) && answers {"}}},
	{"the hold-down does not double", "home is steady for the hold-down", []edit{
		{failback, "hold = min(2*hold, maxHoldDown)", "hold = min(hold, maxHoldDown)"}}},
	{"home takes back what it does not record", "home records what it takes back", []edit{
		{failback, "healthy := state.Storage.Writable && c.Receiving && (c.Recording || c.Waiting)", "healthy := true"}}},
	{"home never takes back", "after healing everything is at home", []edit{
		{failback, "case len(away) == 0:", "case true:"}}},
	{"a mirror's ring is trimmed by time", "a mirror loses nothing", []edit{
		{mirrored, "if !m.moved || len(samples) == 0 {\n\t\treturn 0\n\t}", "if len(samples) == 0 {\n\t\treturn 0\n\t}\n\tif !m.moved {\n\t\treturn keyBefore(samples, samples[len(samples)-1].At.Add(-time.Second))\n\t}"}}},
	{"of equal names a mirror takes the newest", "a mirror loses nothing", []edit{
		{aligned, "offset := nearest(offsets, a.skew)", "offset := offsets[len(offsets)-1]"},
		{aligned, "near := apart < a.shortestGOP() ||", "near := true ||"}}},
	{"a sample that lies far from where the clocks put it is not doubted", "a mirror loses nothing", []edit{
		{aligned, "near := apart < a.shortestGOP() ||", "near := true ||"},
		{aligned, "a.doubted || apart > sameOffset && len(offsets) == 1 {", "a.doubted {"}}},
	{"a mirror does not notice that home began anew", "a mirror loses nothing", []edit{
		{mirroring, "case !known || before == now:", "case !known || before.server == now.server:"}}},
	{"a repetition is taken for an overlap", "what lies at home is shown", []edit{
		{"join.go", "clocksAround(l, i, other).mayBeApart(l.apart(i, other, best.index), best.apart)", "clocksAround(l, i, other).step >= 0"}}},
	{"an order to hand over is ignored", "an order is carried out", []edit{
		{orders, "if o, ok := s.handedOver(id); ok && (", "if o, ok := s.handedOver(id); ok && s.at < 0 && ("}}},
	{"maintenance is ignored", "under maintenance nothing is taken over", []edit{
		{orders, "return m, !m.Until.IsZero() && !s.over(m.Until) && !handed", "return m, handed && false"},
		{leases, "return lease.Holder == home.ID && home.Maintenance.Stands(now)", "return now.IsZero() && lease.Holder == home.ID && home.Maintenance.Stands(now)"}}},
	{"a bundle is opened only when a connection was refused", "cold costs a second more with nobody to ask", []edit{
		{solo, "s.at-since >= openAfter", "s.at-since >= time.Hour"}}},
	{"a bundle is never opened", "cold costs a second more with nobody to ask", []edit{
		{solo, "if since, lacking := s.lacking[home]; lacking &&", "if since, lacking := s.lacking[home]; lacking && s.at < 0 &&"}}},
	{"the answer of a claim is not missed", "cold costs a second more with nobody to ask", []edit{
		{solo, "if s.leases[camera].Holder == s.self {", "if s.leases[camera].Holder == \"\" {"}}},
	{"who is not heard is not waited for in vain", "cold costs a second more with nobody to ask", []edit{
		{solo, " || s.deaf(home)\n", "\n"}}},
	{"a provisional epoch is told as granted", "only a grant makes a database look old", []edit{
		{takeover, "material.Epoch, material.Provisional = max(h.camera.Epoch, lease.Epoch+1), true", "material.Epoch = max(h.camera.Epoch, lease.Epoch+1)"}}},
	{"a provisional epoch is not reconciled", "who holds a lease records under it", []edit{
		{takeover, "material.Epoch, material.Provisional = lease.Epoch, false", "material.Epoch, material.Provisional = max(h.camera.Epoch, lease.Epoch), h.camera.Provisional"}}},
	{"who has taken up already is not looked for", "of several one records a camera", []edit{
		{solo, "return listed && w.verdict.answers()", "return listed && s.at < 0"}}},
	{"who stands back for another records on", "of several one records a camera", []edit{
		{takeover, "home, s.first(camera, lease.Epoch)}", "home}"}}},
	{"no session is given up on order", "a camera of one session moves both ways", []edit{
		{single, "order.Stands(s.now) && order.To == l.Holder", "false && order.Stands(s.now)"}}},
	{"who cannot write keeps its sessions", "a camera of one session moves both ways", []edit{
		{single, "|| !s.state.Storage.Writable ||", "||"}}},
	{"a session that was given up is asked for again at once", "a camera of one session moves both ways", []edit{
		{single, "lent = 5 * time.Second", "lent = 5 * time.Nanosecond"}}},
	{"a session in the way of home is kept", "a camera of one session moves both ways", []edit{
		{takeover, "(h.camera.Epoch < lease.Epoch || h.trial", "(s.at < 0 || s.at < 0 && h.trial"}}},
	{"a camera of one session is asked while home holds it", "a camera of one session is recorded", []edit{
		{vocabulary, "return c.Sessions != 1 && c.Failover", "return c.Failover"},
		{mirroring, "if w.cameras[camera].crowded && w", "if s.at < 0 && w"}}}, // it would leave it to home again
	{"home is not left its turn", "a camera of one session moves both ways", []edit{
		{takeover, "t.turn > 0 && s.at-t.turn < sessionTurn {", "t.turn > 0 && s.at-t.turn < 0 {"}}},
	{"a mirror keeps the session that is needed to record", "a camera of one session is recorded", []edit{
		{mirroring, "if w.cameras[camera].crowded && w", "if s.at < 0 && w"}}},
	{"a maintenance does not end by its own time", "an order ends by its own time", []edit{
		{handover, "case !kept.Until.IsZero() && !kept.Stands(now):", "case now.IsZero():"}}},
	{"an order that is over stands while a claim is decided", "no takeover from a healthy server", []edit{
		{leases, "if err := tx.tend(); err != nil {", "if err := error(nil); err != nil {"},
		{leases, "case wanted.Ordered && lease.Holder == c.Home && !handedTo(site, c, now):", "case now.IsZero():"}}},
	{"acknowledge before sync", "nothing is deleted that home does not hold", []edit{
		{mergeTake, "if err := in.Seal(ctx); err != nil {", "if err := in.Seal(ctx); err != nil && o.Size < 0 {"},
		{mergeTake, "if ok && size == o.Size && sum == o.SHA256 && same {", "if _ = sum; size >= 0 && same {"}}},
	{"delete what home has refused", "nothing is deleted that home does not hold", []edit{
		{mergeSend, "if no.Retired || no.Expired &&", "if true || no.Expired &&"},
		{mergeSend, "case hopeless(no.Code):", "case false:"}}},
	{"delete what was offered", "nothing is deleted that home does not hold", []edit{
		{mergeSend, "\t\tcase no == nil:\n\t\t\treturn nil", "\t\tcase no == nil:\n\t\t\treturn b.source.Delete(segment.ID, \"offered\")"},
		{mergeTake, "if err := in.Seal(ctx); err != nil {", "if o.Size < 0 {"}}},
	{"refused segments are not offered again", "nothing left to merge", []edit{
		{mergeSend, "return code == understudy.CodeUnavailable || code == understudy.CodeInternal", "return false"}}},
	{"confirmed segments are kept", "nothing left to merge", []edit{
		{mergeSend, "if err := s.batch.source.Delete(id, why); err != nil {", "if err := error(nil); why == \"\" {"}}},
}
