package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"understudy"
)

const (
	// unknownRate is assumed of a camera that nobody has measured yet: 1080p in H.264.
	unknownRate = 4_000_000
	// subShare is assumed of a second stream that was never taken: an eighth of the main one.
	subShare = 8
	// yieldFor is how long a camera is recorded on after its place was given to
	// another, for the next standby to take it.
	yieldFor = 10 * time.Second
	// slack is what must be free, in percent, before what was reduced is raised
	// again: bit rates waver, and each change is a new session with a camera.
	slack = 10
)

// way is one way of carrying a camera.
type way struct {
	stream understudy.StreamKind // empty: the main one
	record bool
	cost   cost
}

// cost is what is taken of a capacity.
type cost struct {
	cameras    int
	bits, disk int64 // a second
}

func (c cost) plus(o cost) cost {
	return cost{c.cameras + o.cameras, c.bits + o.bits, c.disk + o.disk}
}

func (c cost) minus(o cost) cost {
	return cost{c.cameras - o.cameras, c.bits - o.bits, c.disk - o.disk}
}

// share is how a camera is carried while capacity is bounded.
type share struct {
	ways []way // the best first, the one that costs least last
	at   int   // in ways; len(ways): it is not carried
	last int   // in ways, as it was carried last
	// ahead: nobody needs the camera; its stream is kept open for a mirror.
	ahead bool
	// gone is when a camera that has lost its place is put down; 0: it has one, or never ran.
	gone time.Duration
}

func (s share) carried() bool { return s.at < len(s.ways) }

// candidate is a camera that this server should carry.
type candidate struct {
	camera   understudy.CameraID
	share    share
	priority int
	trial    bool // nobody needs it yet
	held     bool // it is carried already
}

// allot settles how much of each camera is carried here. Whoever can be carried
// at all is, in the way that costs least, in the order of priority; then, in the
// same order, each is raised to the best way that there is room for. So none
// is left out for one that matters less, and none while others take more than the least.
// What a mirror keeps open takes what is left: who is needed comes before who may be.
func (s *State) allot() {
	bounds, bounded := s.bounds()
	if !bounded {
		clear(s.shares)
		s.tellShares(bounds, cost{})
		return
	}
	needed, mirrored := s.contenders()
	used := s.place(bounds, needed, cost{})
	for i := range needed {
		used = s.raise(bounds, &needed[i], used)
	}
	s.place(bounds, mirrored, used)
	s.shares = s.settled(slices.Concat(needed, mirrored))
	s.tellShares(bounds, inFull(needed).plus(inFull(mirrored)))
}

// inFull is what it costs to carry all of them in the best way.
func inFull(all []candidate) (whole cost) {
	for _, c := range all {
		whole = whole.plus(c.share.ways[0].cost)
	}
	return whole
}

// place gives each camera the way that costs least, where there is room for it
// besides what is used, and returns what is used then.
func (s *State) place(bounds bounds, all []candidate, used cost) cost {
	for i := range all {
		c := &all[i]
		before, known := s.before(c)
		least := c.share.ways[len(c.share.ways)-1].cost
		c.share.at = len(c.share.ways)
		if bounds.hold(used.plus(least), known && !before.carried()) {
			c.share.at--
			used = used.plus(least)
		}
	}
	return used
}

// before is how a camera was carried for the same reason.
func (s *State) before(c *candidate) (share, bool) {
	before, known := s.shares[c.camera]
	return before, known && before.ahead == c.share.ahead
}

// raise gives a camera that is carried the best way that there is room for.
func (s *State) raise(bounds bounds, c *candidate, used cost) cost {
	before, known := s.before(c)
	rest := used
	if c.share.carried() {
		rest = used.minus(c.share.ways[c.share.at].cost)
	}
	for i, w := range c.share.ways[:min(c.share.at, len(c.share.ways)-1)] {
		if c.share.carried() && bounds.hold(rest.plus(w.cost), known && i < before.at) {
			c.share.at = i
			return rest.plus(w.cost)
		}
	}
	return used
}

// settled is the outcome by camera. What runs and has lost its place runs on
// for a while as it did.
func (s *State) settled(all []candidate) map[understudy.CameraID]share {
	shares := make(map[understudy.CameraID]share, len(all))
	for _, c := range all {
		before, _ := s.before(&c)
		if c.share.last = c.share.at; !c.share.carried() {
			c.share.last = min(before.last, len(c.share.ways)-1)
		}
		if !c.share.carried() && c.held && !c.trial && !c.share.ahead {
			c.share.gone = before.gone
			if c.share.gone == 0 {
				c.share.gone = s.at + yieldFor
			}
		}
		shares[c.camera] = c.share
	}
	return shares
}

// contenders are the cameras that should be carried, those that come first
// first, and those whose streams a mirror keeps open besides. What is recorded
// only until another surely does is not among them, unless it is mirrored then: it
// goes soon, and to reduce others for it would cost more than it takes.
func (s *State) contenders() (needed, mirrored []candidate) {
	for camera, home := range s.candidates {
		_, held := s.held[camera]
		mine := s.lease(camera, home).Holder == s.self
		_, demanded := s.demanded(home, camera)
		trial := !mine && !demanded && s.tried(home, camera)
		c := candidate{camera: camera, trial: trial, held: held}
		known := s.known(camera)
		c.priority = known.Priority
		switch {
		case mine || demanded || trial:
			c.share.ways = s.ways(known)
			needed = append(needed, c)
		case s.mirrorable(camera):
			c.share = share{ways: []way{s.wayOf(known, "", false)}, ahead: true}
			mirrored = append(mirrored, c)
		}
	}
	slices.SortFunc(needed, compare)
	slices.SortFunc(mirrored, compare)
	return needed, mirrored
}

// compare puts those first that come first. Of equals, who is here stays: moving a camera wins nothing.
func compare(a, b candidate) int {
	return cmp.Or(boolCompare(a.trial, b.trial), cmp.Compare(b.priority, a.priority),
		boolCompare(b.held, a.held), cmp.Compare(a.camera, b.camera))
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// known is what is known of a camera.
func (s *State) known(id understudy.CameraID) understudy.Camera {
	if m, ok := s.material[id]; ok {
		return m.Camera
	}
	if p, ok := s.posts[id]; ok {
		return p.camera
	}
	c, _ := s.site.Camera(id)
	return c
}

// ways are the ways in which a camera can be carried, the best first.
func (s *State) ways(c understudy.Camera) []way {
	streams := []understudy.StreamKind{""}
	if c.Sub != "" {
		streams = append(streams, understudy.StreamSub)
	}
	var all []way
	for _, record := range []bool{true, false} {
		for _, stream := range streams {
			if !record || c.Failover != understudy.SupportLive {
				all = append(all, s.wayOf(c, stream, record))
			}
		}
	}
	return all
}

func (s *State) wayOf(c understudy.Camera, stream understudy.StreamKind, record bool) way {
	bits, ok := s.rates[c.ID]
	if !ok {
		bits = unknownRate
	}
	if stream == understudy.StreamSub {
		measured, ok := s.subRates[c.ID]
		if bits /= subShare; ok {
			bits = measured
		}
	}
	w := way{stream: stream, record: record, cost: cost{cameras: 1, bits: bits}}
	if record {
		w.cost.disk = bits
	}
	return w
}

// carries reports whether there is room for a camera here.
func (s *State) carries(camera understudy.CameraID) bool {
	sh, bounded := s.shares[camera]
	return !bounded || sh.carried()
}

// limited is what is recorded of a camera with the room that there is; false if nothing.
func (s *State) limited(c understudy.AssignedCamera) (understudy.AssignedCamera, bool) {
	sh, bounded := s.shares[c.Camera.ID]
	c.Stream = ""
	switch {
	case !bounded:
		return c, true
	case !sh.carried() && (sh.gone == 0 || s.at >= sh.gone):
		return c, false
	}
	w := sh.ways[sh.last]
	c.Stream, c.Record = w.stream, c.Record && w.record
	return c, true
}

// observeLoad takes in how much room there is on the disk: free, or taken by
// footage that has not gone home yet, which is what the room was for.
func (s *State) observeLoad(own understudy.State) {
	s.room = own.Storage.FreeBytes + own.Storage.UnmergedBytes
	s.observeRates(own.Cameras)
}

// observeRates remembers what others and this server measured.
func (s *State) observeRates(cameras []understudy.CameraState) {
	for _, c := range cameras {
		switch {
		case c.BitsPerSecond <= 0:
		case c.Stream == understudy.StreamSub:
			s.subRates[c.Camera] = c.BitsPerSecond
		default:
			s.rates[c.Camera] = c.BitsPerSecond
		}
	}
}

// bounds are what this server may carry, with the room on its disk as it is.
type bounds struct {
	understudy.Capacity
	room int64
}

func (s *State) bounds() (bounds, bool) {
	self, _ := s.site.FailoverServer(s.self)
	b := bounds{Capacity: self.Capacity, room: s.room}
	if s.room < 0 {
		b.DiskFor = 0 // nobody has looked yet
	}
	return b, b.Capacity != understudy.Capacity{}
}

// hold reports whether a load is within the bounds; spare demands some slack besides.
func (b bounds) hold(c cost, spare bool) bool {
	part := int64(100)
	if spare {
		part -= slack
	}
	return (b.Cameras == 0 || c.cameras <= b.Cameras) &&
		(b.BitRate == 0 || c.bits <= b.BitRate/100*part) &&
		(b.DiskFor == 0 || float64(c.disk)/8*b.DiskFor.Seconds() <= float64(b.room)*float64(part)/100)
}

// lacks says how much more all of it would take than there is.
func (b bounds) lacks(c cost) string {
	var lacks []string
	if b.Cameras > 0 && c.cameras > b.Cameras {
		lacks = append(lacks, fmt.Sprintf("%d cameras, of at most %d", c.cameras, b.Cameras))
	}
	if b.BitRate > 0 && c.bits > b.BitRate {
		lacks = append(lacks, fmt.Sprintf("%s, of at most %s", understudy.Megabits(c.bits), understudy.Megabits(b.BitRate)))
	}
	if need := float64(c.disk) / 8 * b.DiskFor.Seconds(); b.DiskFor > 0 && need > float64(b.room) {
		lacks = append(lacks, fmt.Sprintf("%.3g GB of disk for %.4g h, of %.3g GB", need/1e9, b.DiskFor.Hours(), float64(b.room)/1e9))
	}
	return strings.Join(lacks, "; ")
}

// tellShares tells once what is not carried in full, and why, before it is so.
func (s *State) tellShares(b bounds, whole cost) {
	if len(s.shares) == 0 && s.reduced == "" { // as most often
		return
	}
	reduced := map[string][]understudy.CameraID{}
	const sub, live, none, hot = "takes %s by the second stream", "serves %s live only", "leaves %s to the next standby",
		"stands by hot for %s, which it is to mirror"
	for _, camera := range sorted(s.shares) {
		sh := s.shares[camera]
		switch {
		case sh.ahead && !sh.carried():
			reduced[hot] = append(reduced[hot], camera)
		case sh.ahead: // a stream that is open is all that is wanted
		case !sh.carried():
			reduced[none] = append(reduced[none], camera)
		case sh.ways[0].record && !sh.ways[sh.at].record:
			reduced[live] = append(reduced[live], camera)
		case sh.ways[sh.at].stream != "":
			reduced[sub] = append(reduced[sub], camera)
		}
	}
	key, acts := "", []string{}
	for _, act := range []string{sub, live, none, hot} {
		if len(reduced[act]) > 0 {
			key += fmt.Sprint(act, reduced[act])
			acts = append(acts, fmt.Sprintf(act, naming(reduced[act])))
		}
	}
	switch told := s.reduced; {
	case key == told:
	case key != "":
		why := b.lacks(whole)
		if why == "" {
			why = fmt.Sprintf("nearly all, and what was reduced is raised when %d %% are free", slack)
		}
		s.say(understudy.EventServer, s.self, true, "%s is short of capacity (to carry all in full takes %s): by priority, it %s", s.self, why, strings.Join(acts, ", "))
	default:
		s.say(understudy.EventServer, s.self, true, "%s is no longer short of capacity", s.self)
	}
	s.reduced = key
}

// short names the cameras that there is no room for, for others to take.
func (s *State) short() []understudy.CameraID {
	var short []understudy.CameraID
	for _, camera := range sorted(s.shares) {
		if sh := s.shares[camera]; !sh.carried() && !sh.ahead {
			short = append(short, camera)
		}
	}
	return short
}
