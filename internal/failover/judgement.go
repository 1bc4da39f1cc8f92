package failover

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// leastDisk is the time that a takeover must find room on the disk for, where no
// capacity says another.
const leastDisk = time.Hour

// ringFor is how much of a mirrored camera waits in memory at the worst moment:
// what home has not synced, a GOP, and the time until a silent death is certain.
const ringFor = 6 * time.Second

// judgeFlight says what would be in the way of a takeover. It is pure.
func (s *State) judgeFlight(results map[understudy.CameraID]probed, m machine) understudy.Preflight {
	flight := understudy.Preflight{Server: s.self, Homes: sorted(s.duties), Findings: []understudy.Finding{}}
	for _, home := range flight.Homes {
		unproven, single := []understudy.CameraID{}, []understudy.CameraID{}
		for _, c := range s.duties[home].Cameras {
			flight.Cameras++
			id := c.Camera.ID
			if c.Camera.Sessions == 1 {
				single = append(single, id)
			}
			r, asked := results[id]
			switch {
			case asked && r.err == nil:
				flight.Reached++
				if r.sub != nil {
					flight.Findings = append(flight.Findings, understudy.Finding{Home: home, Camera: id, About: concern(r.sub),
						Sentence: fmt.Sprintf("the second stream of camera %s could not be taken by %s: %s", id, s.self, sentence(r.sub))})
				}
			case asked && !r.login && s.posts[id].standby == understudy.StandbyCold && understudy.CodeOf(r.err) == understudy.CodeUnauthenticated:
				flight.Reached++
				unproven = append(unproven, id)
			case asked:
				flight.Findings = append(flight.Findings, s.ofCamera(home, id, r.err))
			}
		}
		if len(unproven) > 0 {
			flight.Findings = append(flight.Findings, understudy.Finding{Home: home, About: understudy.AboutCredentials, Sentence: fmt.Sprintf(
				"%s of %s %s when %s asks, but want a password that has not come here yet: it and the codec are not proven",
				naming(unproven), home, map[bool]string{true: "answers", false: "answer"}[len(unproven) == 1], s.self)})
		}
		if len(single) > 0 {
			flight.Findings = append(flight.Findings, understudy.Finding{Home: home, About: understudy.AboutSessions, Sentence: fmt.Sprintf(
				"%s of %s: one session is all that is allowed, and that of a server that loses power may live on for up to 60 s; allow two", naming(single), home)})
		}
	}
	flight.Findings = append(flight.Findings, s.judgeMirrors(m)...)
	flight.Findings = append(flight.Findings, s.judgeLoads(m)...)
	return flight
}

// ofCamera is the finding of a camera that is not as it must be. A camera that
// its home gets nothing of either is nothing that a takeover would lose.
func (s *State) ofCamera(home understudy.ServerID, camera understudy.CameraID, err error) understudy.Finding {
	f := understudy.Finding{Home: home, Camera: camera, About: concern(err), Red: true,
		Sentence: fmt.Sprintf("%s could not record camera %s of %s: %s", s.self, camera, home, sentence(err))}
	w := s.watch(home)
	if p, seen := w.cameras[camera]; seen && !p.receiving && w.verdict.answers() {
		f.Red = false
		f.Sentence += fmt.Sprintf("; %s gets nothing of it either", home)
	}
	return f
}

func sentence(err error) string {
	return fmt.Sprintf("%.500s", err.Error())
}

// concern sorts what came of asking a camera.
func concern(err error) understudy.Concern {
	switch understudy.CodeOf(err) {
	case understudy.CodeUnauthenticated, understudy.CodeForbidden:
		return understudy.AboutCredentials
	case understudy.CodeInvalid:
		return understudy.AboutCodec
	}
	return understudy.AboutCamera
}

// judgeMirrors says, home by home, what this server is to mirror and does not:
// it stands by hot for it, so frames would be lost.
func (s *State) judgeMirrors(m machine) []understudy.Finding {
	left, crowded := map[understudy.ServerID][]understudy.CameraID{}, map[understudy.ServerID][]understudy.CameraID{}
	for _, camera := range s.mirrored {
		home := s.posts[camera].camera.Home
		switch sh := s.shares[camera]; {
		case s.at < s.crowded[camera]:
			crowded[home] = append(crowded[home], camera)
		case sh.ahead && !sh.carried():
			left[home] = append(left[home], camera)
		}
	}
	var findings []understudy.Finding
	add := func(home understudy.ServerID, about understudy.Concern, camera []understudy.CameraID, why string) {
		findings = append(findings, understudy.Finding{Home: home, About: about, Red: true, Sentence: fmt.Sprintf(
			"if %s fails, frames of %s are lost: %s is to mirror %s, and stands by hot, because %s",
			home, naming(camera), s.self, map[bool]string{true: "it", false: "them"}[len(camera) == 1], why)})
	}
	needed, mirrored := s.contenders()
	bounds, _ := s.bounds()
	for _, home := range sorted(left) {
		lacks := cmp.Or(bounds.lacks(inFull(needed).plus(inFull(mirrored))), fmt.Sprintf("nearly all that there is, and a stream is opened when %d %% are free", slack))
		add(home, understudy.AboutCapacity, left[home], fmt.Sprintf(
			"all that it carries and mirrors takes %s: raise its capacity if the machine can do more, or let another failover server mirror some", lacks))
	}
	for _, home := range sorted(crowded) {
		add(home, understudy.AboutSessions, crowded[home], "no session was left there: allow more sessions on the camera, or set how many it has")
	}
	if need := inFull(mirrored).bits / 8 * int64(ringFor/time.Second); need > m.rings {
		findings = append(findings, understudy.Finding{About: understudy.AboutMemory, Sentence: fmt.Sprintf(
			"of the %s that %s mirrors, %d MB wait in memory when a server dies silently, and there is room for %d MB: the rest would be written to the disk; let another failover server mirror some",
			counted(len(mirrored)), s.self, need>>20, m.rings>>20)})
	}
	return findings
}

// failure is a number of homes that fail at once, and what they would cost.
type failure struct {
	homes       []understudy.ServerID
	whole       cost // all in full
	least       cost // all in the way that costs least
	replaceable bool // others stand by for each of the cameras
}

// judgeLoads says of each home's failure, and of that of the two largest at
// once, whether there is room for it beside what is carried now.
func (s *State) judgeLoads(m machine) []understudy.Finding {
	var ones []failure
	for _, home := range sorted(s.duties) {
		ones = append(ones, s.failureOf(home))
	}
	largest := slices.SortedStableFunc(slices.Values(ones), func(a, b failure) int { return cmp.Compare(b.whole.bits, a.whole.bits) })
	if len(largest) >= 2 {
		a, b := largest[0], largest[1]
		ones = append(ones, failure{homes: []understudy.ServerID{a.homes[0], b.homes[0]}, whole: a.whole.plus(b.whole), least: a.least.plus(b.least),
			replaceable: a.replaceable && b.replaceable})
	}
	var findings []understudy.Finding
	for _, f := range ones {
		findings = append(findings, s.judgeLoad(f, m)...)
	}
	return findings
}

func (s *State) failureOf(home understudy.ServerID) failure {
	f := failure{homes: []understudy.ServerID{home}, replaceable: true}
	for _, c := range s.duties[home].Cameras {
		ways := s.ways(c.Camera)
		f.whole, f.least = f.whole.plus(ways[0].cost), f.least.plus(ways[len(ways)-1].cost)
		f.replaceable = f.replaceable && len(s.site.Standbys(c.Camera)) > 1
	}
	return f
}

// judgeLoad holds a failure against capacity, disk and processors. What is less
// than full is noted; what would not be recorded by anybody is red.
func (s *State) judgeLoad(f failure, m machine) []understudy.Finding {
	carried := cost{}
	for _, id := range sorted(s.held) {
		if h := s.held[id]; !slices.Contains(f.homes, h.home) {
			carried = carried.plus(s.wayOf(h.camera.Camera, h.camera.Stream, h.camera.Record).cost)
		}
	}
	whole, least := carried.plus(f.whole), carried.plus(f.least)
	home, what := f.homes[0], fmt.Sprintf("if %s fails", f.homes[0])
	if len(f.homes) > 1 {
		home, what = "", fmt.Sprintf("if %s and %s fail at once", f.homes[0], f.homes[1])
	}
	var findings []understudy.Finding
	add := func(about understudy.Concern, red bool, format string, args ...any) {
		red = red && (len(f.homes) == 1 || !f.replaceable)
		findings = append(findings, understudy.Finding{Home: home, About: about, Red: red, Sentence: what + ", " + fmt.Sprintf(format, args...)})
	}
	b, _ := s.bounds()
	disk := bounds{Capacity: understudy.Capacity{DiskFor: cmp.Or(b.DiskFor, leastDisk)}, room: b.room}
	b.DiskFor = 0
	if !b.hold(whole, false) {
		then := "with less than full quality for some, by priority; raise its capacity if the machine can do more"
		if !b.hold(least, false) {
			then = "and some are left to others or not recorded, by priority; add a failover server, give cameras a second stream, or raise the capacity if the machine can do more"
		}
		add(understudy.AboutCapacity, !b.hold(least, false), "%s would carry %s, %s", s.self, b.lacks(whole), then)
	}
	if open := whole.plus(s.openBeside(f)); b.hold(whole, false) && !b.hold(open, false) {
		add(understudy.AboutCapacity, false, "%s would carry %s, with the streams that it mirrors: it would close some of these, by priority, and stand by hot; raise its capacity if the machine can do more",
			s.self, b.lacks(open))
	}
	if s.room >= 0 && !disk.hold(whole, false) {
		add(understudy.AboutDisk, !disk.hold(least, false), "%s would need %s: free some, or add a disk", s.self, disk.lacks(whole))
	}
	if need := float64(whole.minus(carried).bits) / 1e6 * m.cost; need > m.free {
		add(understudy.AboutProcessor, true, "%s would need %.2g processor cores more, and %.2g of %.0f are free: move other work away, or add a failover server", s.self, need, m.free, m.cores)
	}
	return findings
}

// openBeside is what the streams cost that are mirrored when f has happened.
func (s *State) openBeside(f failure) cost {
	open := cost{}
	for _, camera := range s.mirrored {
		c := s.posts[camera].camera
		if _, held := s.held[camera]; !held && s.mirrorable(camera) && !slices.Contains(f.homes, c.Home) {
			open = open.plus(s.wayOf(c, "", false).cost)
		}
	}
	return open
}
