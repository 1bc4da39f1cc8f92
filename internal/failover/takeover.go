package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"understudy"
)

// holding is a camera that is recorded here.
type holding struct {
	camera  understudy.AssignedCamera
	home    understudy.ServerID
	wanted  bool          // by a lease, a verdict or a trial; else only until somebody else surely records it
	trial   bool          // by a trial only
	before  bool          // and was recorded here already, for another reason
	freed   time.Duration // no longer wanted since
	proof   Proof         // that somebody else records it; looked for in the own store
	proofAt time.Duration
	proven  bool
}

// trial is a camera that is recorded because its home gets no frames of it.
type trial struct {
	began time.Duration
	shown time.Duration // since when a sample of it is durable here; 0 while none is
	turn  time.Duration // since when its home alone asks for its session; 0: it had no turn yet
}

// Bounds of a release.
const (
	overlapBound = 10 * time.Second // of both recording, where no equal sample is found
	proofLength  = 3 * time.Second  // of looking for one sample, before a later one is looked for
	idleBound    = time.Minute      // of nobody getting a frame
	// uncoveredBound is how long a camera of which nothing is durable here is kept, though another
	// is seen recording it: one that has just lost it still syncs what it had, and says so after 3 s only.
	uncoveredBound = 5 * time.Second
	justHeard      = 2 * pollEvery   // since the word for which a session is given up: who is silent may have died
	sessionTurn    = 5 * time.Second // of a home to have the session that was given up for it
	lastResort     = 5 * time.Second // that a server waits for others which can record, when it cannot
)

// Leases are all leases as they were last heard of, by camera: ahead of the site after a claim.
func (s State) Leases() understudy.Leases {
	leases := make(understudy.Leases, 0, len(s.leases))
	for _, camera := range sorted(s.leases) {
		lease := s.leases[camera]
		leases = append(leases, &lease)
	}
	return leases
}

// demand is a reason to take a camera over.
type demand struct {
	why     string
	since   time.Duration
	planned bool
	ordered bool // the home is well, and goes on recording
}

// demanded says whether a camera is to be taken from its holder now. The holder
// must have failed; if that is another failover server, the home as well.
func (s *State) demanded(home understudy.ServerID, camera understudy.CameraID) (demand, bool) {
	holder := s.lease(camera, home).Holder
	d, fails := s.homeFails(home, camera)
	if holder == s.self || !fails {
		return demand{}, false
	}
	duty, ok := s.posts[camera]
	if !ok {
		return demand{}, false
	}
	order, ordered := s.handedOver(home)
	condition := s.watch(home).verdict.Condition
	if _, kept := s.maintained(home); holder == home && (kept || ordered && condition == HandedOver && order.To != s.self) {
		return demand{}, false
	}
	d.planned, d.ordered = d.planned || condition == HandedOver, condition == HandedOver
	if holder != home {
		w := s.watch(holder)
		stand := w.verdict
		switch {
		case d.ordered && len(stand.Cameras) > 0 && s.watch(home).cameras[camera].steady > 0:
			return demand{}, false // it gave the camera back, and that the order has ended was not heard here
		case stand.takes(camera):
			d.why, d.since, d.planned, d.ordered = d.why+"; "+stand.Sentence, max(d.since, stand.Since), stand.Condition == Leaving, false
		case stand.answers() && slices.Contains(w.state.Short, camera):
			d.why = fmt.Sprintf("%s; %s stands in for it and is short of capacity", d.why, holder)
		default:
			return demand{}, false
		}
	}
	if d.ordered { // by name
		return d, true
	}
	wait := time.Duration(duty.rank) * s.rankDelay
	if d.planned && duty.rank > 0 { // whoever comes first claims when it has the pictures
		wait += coverPlanned
	}
	if !s.own.Writable { // a picture at least, if nobody else can record it either
		wait += lastResort
	}
	if s.at-d.since < wait {
		return demand{}, false
	}
	return d, s.forestaller(camera, s.lease(camera, home).Epoch) == ""
}

// homeFails says whether a camera's home has failed, as far as that camera is
// concerned: by its verdict, or because others stand in for it there already,
// and home still does not record it.
func (s *State) homeFails(home understudy.ServerID, camera understudy.CameraID) (demand, bool) {
	w := s.watch(home)
	if w.verdict.takes(camera) {
		return demand{why: w.verdict.Sentence, since: w.verdict.Since, planned: w.verdict.Condition == Leaving}, true
	}
	if !w.verdict.answers() || s.lease(camera, home).Holder == home {
		return demand{}, false
	}
	p, ok := w.cameras[camera]
	if !ok || p.steady > 0 || s.at-p.moved < standStill {
		return demand{}, false
	}
	return demand{why: fmt.Sprintf("%s answers, but does not record camera %s", home, camera), since: p.moved + standStill}, true
}

// lacks reports whether a camera's home has failed it.
func (s *State) lacks(home understudy.ServerID, camera understudy.CameraID) bool {
	_, fails := s.homeFails(home, camera)
	return fails
}

// takeUp settles what is recorded here: what is leased, what is demanded, and
// what is tried because its home gets no frames. Nothing is put down here; that
// is release's, and later.
func (s *State) takeUp() {
	var ousted []understudy.CameraID
	for camera, home := range s.candidates {
		_, held := s.held[camera]
		lease := s.lease(camera, home)
		_, demanded := s.demanded(home, camera)
		tried := s.tried(home, camera)
		if !held && !demanded && !tried && lease.Holder != s.self { // as most are
			continue
		}
		h := s.held[camera]
		material, ok := s.material[camera]
		if ok {
			if material, ok = s.limited(material); !ok && held && (lease.Holder == s.self || demanded) {
				delete(s.held, camera)
				ousted = append(ousted, camera)
				continue
			}
		}
		if !ok || lease.Holder != s.self && !demanded && !tried {
			if held && h.wanted {
				h.wanted, h.freed, h.proof, h.proven = false, s.at, Proof{}, false
				s.held[camera] = h
			}
			continue
		}
		material.Epoch, material.Provisional = lease.Epoch, false
		if lease.Holder != s.self { // what the claim will be granted
			material.Epoch, material.Provisional = max(h.camera.Epoch, lease.Epoch+1), true
		}
		s.held[camera] = holding{camera: material, home: home, wanted: true, trial: lease.Holder != s.self && !demanded, before: held && (h.before || !h.trial)}
	}
	if slices.Sort(ousted); len(ousted) > 0 {
		s.say(understudy.EventServer, s.self, true, "%s stops recording %s: it has no room, and no other standby has taken over within %s",
			s.self, naming(ousted), seconds(yieldFor))
	}
}

// candidates are the cameras that may be recorded here, with their homes, in no
// order. What is done with one may change whether it is held.
func (s *State) candidates(yield func(understudy.CameraID, understudy.ServerID) bool) {
	for _, p := range s.posted {
		if !yield(p.camera, p.home) {
			return
		}
	}
	for camera, lease := range s.leases {
		if lease.Holder != s.self {
			continue
		}
		if _, duty := s.posts[camera]; !duty && !yield(camera, s.material[camera].Camera.Home) {
			return
		}
	}
	for camera, h := range s.held {
		if _, duty := s.posts[camera]; duty || s.leases[camera].Holder == s.self {
			continue
		}
		home := h.home
		if c, ok := s.site.Camera(camera); ok && c.Home != "" { // it may have moved
			home = c.Home
		}
		if !yield(camera, home) {
			return
		}
	}
}

// tried reports whether a camera is to be recorded here before anything is
// claimed: because whoever serves it cannot write just now, or gets no frames
// of it, to see whether they can be had. Nothing is claimed for the
// latter before a sample is durable here, so that a broken camera moves no
// lease, and home has had its turn, so that one that was away and comes back
// moves none.
func (s *State) tried(home understudy.ServerID, camera understudy.CameraID) bool {
	holder := s.lease(camera, home).Holder
	w := s.watch(holder)
	p, ok := w.cameras[camera]
	if !ok || !w.verdict.answers() || !s.own.Writable || holder != home && !s.lacks(home, camera) {
		delete(s.trials, camera)
		return false
	}
	if _, kept := s.maintained(home); kept {
		delete(s.trials, camera)
		return false
	}
	if w.broken > 0 {
		return true
	}
	t, trying := s.trials[camera]
	if _, held := s.held[camera]; t.turn == 0 && p.crowded && (!held || s.obstructs(camera, home)) {
		t = trial{began: s.at - trialPause, turn: s.at}
		s.trials[camera], trying = t, true
	}
	if p.lost(s.at) && t.turn > 0 && s.at-t.turn < sessionTurn {
		return false
	}
	if !p.lost(s.at) || !p.begun && s.at-p.moved < s.patience(w) {
		delete(s.trials, camera)
		return false
	}
	if !trying || s.at-t.began >= trialPause {
		t.began = s.at
	}
	covered := slices.Contains(s.own.Covered, camera)
	switch {
	case !covered:
		t.shown = 0
	case t.shown == 0:
		t.shown = s.at
	}
	s.trials[camera] = t
	return s.at-t.began < trialLength || covered
}

// patience is how long a server may take to record a camera for the first time.
func (s *State) patience(w *watch) time.Duration {
	if w.restarted > 0 {
		return restartGrace
	}
	return startUp
}

// release puts down what is recorded here without being wanted, once somebody
// else surely records it: video only grows, and two recordings cost bandwidth,
// none costs evidence.
func (s *State) release() {
	put := map[string][]understudy.CameraID{}
	moments := map[string][]understudy.Milestone{}
	for _, camera := range sorted(s.held) {
		h := s.held[camera]
		if h.wanted {
			continue
		}
		reason := s.releasable(camera, &h)
		if _, exists := s.site.Camera(camera); exists && slices.Contains(s.own.Busy, camera) {
			reason = "" // who came back in the middle of an event may not know of it
		}
		s.held[camera] = h
		if reason != "" {
			if s.obstructs(camera, h.home) {
				s.crowded[camera] = s.at + crowdedPause // nor is it mirrored
			}
			delete(s.held, camera)
			if s.posts[camera].standby == understudy.StandbyCold {
				delete(s.material, camera) // it was lent for this takeover, and may be another at the next
			}
			put[reason] = append(put[reason], camera)
			kind := understudy.MilestoneReleased
			if h.proven {
				kind = understudy.MilestoneProven
			}
			if !h.trial {
				moments[reason] = append(moments[reason], understudy.Milestone{Kind: kind, Home: h.home, Camera: camera})
			}
		}
	}
	for _, reason := range sorted(put) {
		s.say(understudy.EventServer, s.self, true, "%s stops recording %s: %s", s.self, naming(put[reason]), reason)
		s.milestones(moments[reason]...)
	}
}

// releasable returns why a camera need not be recorded here any longer, nothing if it must.
func (s *State) releasable(camera understudy.CameraID, h *holding) string {
	covered := slices.Contains(s.own.Covered, camera)
	other, p := s.recordedBy(camera, h.home)
	holder := s.lease(camera, h.home).Holder
	_, exists := s.site.Camera(camera)
	switch {
	case s.site.Seq > 0 && !exists:
		return "the site no longer has it"
	case s.obstructs(camera, h.home) && s.at-s.watch(holder).heard <= justHeard:
		return fmt.Sprintf("%s serves it and finds no session left there, so this one is given up for it", holder)
	case h.trial && !h.before && !covered && (s.awake == 0 || s.at-s.awake >= uncoveredBound): // who has just woken knows nothing of home
		return "it was only tried, and nothing of it could be recorded here"
	case other == "" && !covered && s.at-h.freed >= idleBound:
		return fmt.Sprintf("nobody had a frame of it for %s, and %s serves it", seconds(idleBound), holder)
	case other == "":
		return ""
	case !covered && s.at-h.freed < uncoveredBound:
		return ""
	case !covered:
		return fmt.Sprintf("%s records it, and nothing of it was recorded here", other)
	case h.proven:
		return fmt.Sprintf("%s records it, and the last of it is here as well, sample for sample", other)
	case s.at-p.steady >= overlapBound && s.at-h.freed >= overlapBound:
		return fmt.Sprintf("%s and %s have both recorded it for %s (no equal sample was found)", other, s.self, seconds(overlapBound))
	}
	if p.moved > h.freed && (h.proof.Camera == "" || s.at-h.proofAt >= proofLength) {
		h.proof, h.proofAt = Proof{Camera: camera, Server: other, Mark: p.mark}, s.at
	}
	return ""
}

// obstructs reports whether this server's session with a camera is in the way of
// who serves it and finds none left, or only one with the second stream: that one
// was granted the lease after this one, or the camera, which is only tried here, is
// known to allow one session.
func (s *State) obstructs(camera understudy.CameraID, home understudy.ServerID) bool {
	lease := s.lease(camera, home)
	w := s.watch(lease.Holder)
	if lease.Holder == s.self || !w.verdict.answers() || !w.cameras[camera].crowded {
		return false
	}
	h, held := s.held[camera]
	return held && (h.camera.Epoch < lease.Epoch || h.trial && h.camera.Camera.Sessions == 1)
}

// recordedBy returns who else is seen recording a camera: the lease's holder,
// else its home, else a standby before this one, with nobody to ask for the lease. A
// watermark that moved while nobody looked moves no more if no frames come.
func (s *State) recordedBy(camera understudy.CameraID, home understudy.ServerID) (understudy.ServerID, progress) {
	lease := s.lease(camera, home)
	for _, id := range []understudy.ServerID{lease.Holder, home, s.first(camera, lease.Epoch)} {
		w := s.watch(id)
		if p := w.cameras[camera]; w.verdict.answers() && p.receiving && p.steady > 0 && s.at-p.moved <= moving {
			return id, p
		}
	}
	return "", progress{}
}

// claiming is the claim that is wanted of a home's cameras, kept as it is while
// it means the same, so that repeating it is harmless.
type claiming struct {
	count int
	claim understudy.Claim // no cameras: none is wanted
}

// ask settles which leases are asked for.
func (s *State) ask() {
	for _, home := range s.order {
		c := s.claims[home]
		cameras, why := s.claimable(home)
		if slices.Equal(cameras, c.claim.Cameras) {
			continue
		}
		c.claim = understudy.Claim{}
		if len(cameras) > 0 {
			c.count++
			c.claim = understudy.Claim{
				ID:       fmt.Sprintf("%s-%s-%s-%d", s.nonce, s.self, home, c.count),
				Claimant: s.self, Home: home, Kind: understudy.ClaimTakeover, Cameras: cameras,
				Sentence: fmt.Sprintf("%s; %s takes over %s", why, s.self, s.portion(home, cameras)),
			}
			if len(c.claim.ID) > 64 {
				c.claim.ID = shortID(c.claim.ID)
			}
			s.say(understudy.EventTakeover, home, false, "%s takes over %s of %s", s.self, counted(len(cameras)), home)
		}
		s.claims[home] = c
	}
	for home := range s.claims {
		if _, ok := s.duties[home]; !ok {
			delete(s.claims, home)
		}
	}
}

// claimable returns the cameras of a home that are to be asked for now, by id.
func (s *State) claimable(home understudy.ServerID) ([]understudy.CameraEpoch, string) {
	if s.unheard {
		return nil, ""
	}
	var cameras []understudy.CameraEpoch
	why, wait := "", false
	all := s.duties[home].Cameras
	for i := range all {
		camera := all[i].Camera.ID
		d, ok := s.demanded(home, camera)
		if !ok || s.at < s.refused[camera] || !s.carries(camera) || s.deaf(home) {
			continue
		}
		holder := s.lease(camera, home).Holder
		if s.blinded(holder, s.watch(holder)) {
			continue
		}
		if s.awaited(home, camera, d) {
			if s.at-d.since < coverPlanned {
				wait = true
			}
			continue
		}
		asked := s.asked(camera, home)
		asked.Ordered = d.ordered
		cameras = append(cameras, asked)
		why = d.why
	}
	if wait {
		return nil, ""
	}
	slices.SortFunc(cameras, func(a, b understudy.CameraEpoch) int { return strings.Compare(string(a.Camera), string(b.Camera)) })
	return cameras, why
}

// asked is a camera as a claim names it. Of a holder that is not heard any more
// it tells what it last showed, for the management server to compare with what it hears itself.
func (s *State) asked(camera understudy.CameraID, home understudy.ServerID) understudy.CameraEpoch {
	lease := s.lease(camera, home)
	asked := understudy.CameraEpoch{Camera: camera, Epoch: lease.Epoch}
	if w := s.watch(lease.Holder); w.verdict.Condition == Dead {
		asked.Lost, asked.Written = true, w.cameras[camera].mark.At
	}
	return asked
}

// deaf reports that a home is only silent, and that the management server, which
// tells of everybody each second, has been silent too, or was until just now: it may
// be this server that is cut off, also before that is certain. A claim would be
// granted the moment the cut ends. What the management server tells then says how
// the home is, and the home itself answers again.
func (s *State) deaf(home understudy.ServerID) bool {
	w := s.watch(home)
	return w.verdict.Condition == Dead && !w.refusedEnough() && (s.untold() || s.at-s.toldSince < hearAgain)
}

// untold reports that the management server, which tells of everybody each second,
// has not for longer. An answer of its that is lost proves less.
func (s *State) untold() bool { return s.at-s.toldAt > statusLate || s.toldAt == 0 }

// portion says how much of a home a claim is about.
func (s *State) portion(home understudy.ServerID, cameras []understudy.CameraEpoch) string {
	if all := len(s.duties[home].Cameras); len(cameras) == all {
		return "its " + counted(all)
	}
	ids := make([]understudy.CameraID, len(cameras))
	for i, c := range cameras {
		ids[i] = c.Camera
	}
	return naming(ids) + " of " + string(home)
}

func (s *State) wantClaims() []understudy.Claim {
	var claims []understudy.Claim
	for _, home := range s.order {
		if c := s.claims[home].claim; len(c.Cameras) > 0 {
			claims = append(claims, c)
		}
	}
	return claims
}

// observeClaimed takes in what a claim was answered, an old one's answer too:
// leases are facts whoever asked.
func (s *State) observeClaimed(a Claimed) {
	for _, l := range a.Answer.Granted {
		s.learn(l)
	}
	for _, c := range a.Answer.Assignment.Cameras {
		s.material[c.Camera.ID] = c
	}
	for _, r := range a.Answer.Refused {
		s.learn(r.Lease)
	}
	c, ok := s.claims[a.Home]
	if !ok || c.claim.ID != a.ID {
		return
	}
	pause := askAgain
	if a.Err != nil {
		pause = askForbidden
		s.say(understudy.EventRefused, a.Home, false, "the claim of %s was refused whole: %s", a.Home, a.Err)
	}
	for _, asked := range c.claim.Cameras {
		if s.leases[asked.Camera].Holder != s.self {
			s.refused[asked.Camera] = s.at + pause
		}
	}
	if n := len(a.Answer.Granted); n > 0 {
		s.say(understudy.EventTakeover, a.Home, false, "%s was granted %s of %s", s.self, counted(n), a.Home)
	}
	for _, r := range a.Answer.Refused {
		s.say(understudy.EventRefused, a.Home, false, "%s was not granted camera %s: %s", s.self, r.Camera, r.Reason)
	}
	c.claim = understudy.Claim{}
	s.claims[a.Home] = c
}
