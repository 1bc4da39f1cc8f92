package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	us "understudy"
	"understudy/internal/management"
)

// Properties does anything to an authority over an empty store, in any order,
// and checks after each step what must always hold.
func Properties(r *rapid.T, t testing.TB, store management.Store) {
	p := &properties{T: r, t: t, m: New(t, store), epochs: map[us.CameraID]uint64{}}
	r.Repeat(map[string]func(*rapid.T){
		"put camera":           p.putCamera,
		"put recording server": p.putRecordingServer,
		"put failover server":  p.putFailoverServer,
		"put group":            p.putGroup,
		"delete":               p.delete,
		"claim":                p.claim,
		"claim again":          p.claimAgain,
		"ratchet":              p.ratchet,
		"":                     p.check,
	})
}

type properties struct {
	*rapid.T
	t      testing.TB
	m      *management.Management
	epochs map[us.CameraID]uint64 // the highest seen of each camera
	folded us.Site
	claims []claimed
}

type claimed struct {
	claim  us.Claim
	answer us.ClaimAnswer
}

var (
	anyRecording = rapid.SampledFrom([]us.ServerID{"rec1", "rec2", "rec3"})
	anyFailover  = rapid.SampledFrom([]us.ServerID{"fo1", "fo2", "fo3"})
	anyServer    = rapid.OneOf(anyRecording, anyFailover)
	anyCamera    = rapid.SampledFrom([]us.CameraID{"a", "b", "c", "d"})
	anyGroup     = rapid.SampledFrom([]us.GroupID{"g", "h"})
)

// refused lets pass what an authority may answer to a request that makes no sense.
func (p *properties) refused(err error) {
	if err != nil && slices.Contains([]us.Code{us.CodeUnavailable, us.CodeInternal, us.CodeUnauthenticated}, us.CodeOf(err)) {
		p.Fatalf("failed: %v", err)
	}
}

func (p *properties) putCamera(r *rapid.T) {
	c := us.Camera{
		ID: anyCamera.Draw(r, "camera"), Home: anyRecording.Draw(r, "home"), URL: "rtsp://h/",
		Failover: rapid.SampledFrom([]us.FailoverSupport{us.SupportFull, us.SupportLive, us.SupportNone}).Draw(r, "failover"),
	}
	if rapid.Bool().Draw(r, "mirrored") {
		c.Mirror, c.Sessions = anyFailover.Draw(r, "mirror"), rapid.IntRange(0, 2).Draw(r, "sessions")
	}
	var password *us.Secret
	if rapid.Bool().Draw(r, "with password") {
		s := us.Secret(rapid.String().Draw(r, "password"))
		password = &s
	}
	p.refused(second(p.m.PutCamera(background, c, password)))
}

func (p *properties) putRecordingServer(r *rapid.T) {
	s := us.RecordingServer{ID: anyRecording.Draw(r, "server"), Addresses: addresses("h")}
	if rapid.Bool().Draw(r, "mirrored") {
		s.MirrorStandby = anyFailover.Draw(r, "mirror")
	}
	if rapid.Bool().Draw(r, "hot") {
		s.HotStandby = anyFailover.Draw(r, "standby")
	}
	if rapid.Bool().Draw(r, "grouped") {
		s.PrimaryGroup = anyGroup.Draw(r, "group")
	}
	p.refused(second(p.m.PutRecordingServer(background, s)))
}

func (p *properties) putFailoverServer(r *rapid.T) {
	p.refused(second(p.m.PutFailoverServer(background, us.FailoverServer{ID: anyFailover.Draw(r, "server"), Addresses: addresses("h")})))
}

func (p *properties) putGroup(r *rapid.T) {
	p.refused(second(p.m.PutGroup(background, us.FailoverGroup{ID: anyGroup.Draw(r, "group"), Members: rapid.SliceOfN(anyFailover, 0, 3).Draw(r, "members")})))
}

func (p *properties) delete(r *rapid.T) {
	switch rapid.IntRange(0, 2).Draw(r, "what") {
	case 0:
		p.refused(p.m.DeleteCamera(background, anyCamera.Draw(r, "camera")))
	case 1:
		p.refused(p.m.DeleteServer(background, anyServer.Draw(r, "server")))
	case 2:
		p.refused(p.m.DeleteGroup(background, anyGroup.Draw(r, "group")))
	}
}

// claim expects, most of the time, the epochs that the cameras have.
func (p *properties) claim(r *rapid.T) {
	c := us.Claim{ID: fmt.Sprintf("claim-%04d", len(p.claims)), Claimant: anyServer.Draw(r, "claimant"), Home: anyRecording.Draw(r, "home"), Kind: us.ClaimTakeover, Sentence: "why"}
	if rapid.Bool().Draw(r, "failback") {
		c.Kind, c.Claimant = us.ClaimFailback, c.Home
	}
	for _, camera := range rapid.SliceOfNDistinct(anyCamera, 1, 4, rapid.ID).Draw(r, "cameras") {
		epoch := p.epochs[camera]
		if rapid.IntRange(0, 4).Draw(r, "stale") == 0 {
			epoch = rapid.Uint64Range(0, epoch+1).Draw(r, "epoch")
		}
		c.Cameras = append(c.Cameras, us.CameraEpoch{Camera: camera, Epoch: epoch})
	}
	before := must[us.Site](p.t)(p.m.Site(background))
	answer, err := p.m.Claim(background, c)
	p.refused(err)
	if err != nil {
		return
	}
	p.claims = append(p.claims, claimed{c, answer})
	if len(answer.Granted)+len(answer.Refused) != len(c.Cameras) {
		p.Fatalf("claim %+v was answered %+v", c, answer)
	}
	highest := uint64(0)
	for _, l := range before.Leases {
		highest = max(highest, l.Epoch)
	}
	for _, l := range answer.Granted {
		was, _ := before.Lease(l.Camera)
		expected := c.Cameras[slices.IndexFunc(c.Cameras, func(w us.CameraEpoch) bool { return w.Camera == l.Camera })].Epoch
		if was.Epoch != expected || l.Holder != c.Claimant || was.Holder != c.Claimant && l.Epoch <= highest {
			p.Fatalf("lease %+v became %+v by claim %+v", was, l, c)
		}
	}
}

func (p *properties) claimAgain(r *rapid.T) {
	if len(p.claims) == 0 {
		r.Skip("no claim yet")
	}
	c := rapid.SampledFrom(p.claims).Draw(r, "claim")
	before := must[us.Site](p.t)(p.m.Site(background)).Seq
	answer, err := p.m.Claim(background, c.claim)
	if err != nil || fmt.Sprint(answer.Granted, answer.Refused) != fmt.Sprint(c.answer.Granted, c.answer.Refused) {
		p.Fatalf("claim %+v was answered %+v and then %+v, %v", c.claim, c.answer, answer, err)
	}
	if after := must[us.Site](p.t)(p.m.Site(background)).Seq; after != before {
		p.Fatalf("a repeated claim wrote an event")
	}
}

func (p *properties) ratchet(r *rapid.T) {
	epoch := rapid.Uint64Range(0, 3000).Draw(r, "epoch")
	stream := p.m.Stream()
	if err := p.m.Ratchet(background, epoch); err != nil {
		p.Fatal(err)
	}
	if p.m.Stream() == stream {
		return
	}
	for _, l := range must[us.Site](p.t)(p.m.Site(background)).Leases {
		if l.Epoch <= epoch {
			p.Fatalf("a server has seen epoch %d, and the lease is %+v", epoch, l)
		}
	}
}

// check holds after every step.
func (p *properties) check(*rapid.T) {
	site := must[us.Site](p.t)(p.m.Site(background))
	for p.folded.Seq < site.Seq {
		q := us.EventQuery{After: p.folded.Seq, Limit: 1000}
		if p.folded.Seq == 0 {
			q = us.EventQuery{Before: 2, Limit: 1}
		}
		for _, e := range must[[]us.Event](p.t)(p.m.Events(background, q)) {
			p.folded = p.folded.Apply(e)
		}
	}
	sameSite(p.t, site, p.folded)
	if p.t.Failed() {
		p.Fatalf("the site is not what the log says")
	}
	for _, l := range site.Leases {
		if l.Epoch < p.epochs[l.Camera] || l.Epoch == 0 {
			p.Fatalf("the epoch of camera %s went from %d to %d", l.Camera, p.epochs[l.Camera], l.Epoch)
		}
		p.epochs[l.Camera] = l.Epoch
	}
	if dangling := danglingReferences(site); len(dangling) > 0 {
		p.Fatalf("dangling: %s", strings.Join(dangling, ", "))
	}
}

// danglingReferences lists what the site names and does not have.
func danglingReferences(site us.Site) (dangling []string) {
	expect := func(ok bool, what string, id any) {
		if !ok {
			dangling = append(dangling, fmt.Sprint(what, " ", id))
		}
	}
	expect(len(site.Cameras) == len(site.Leases), "cameras and leases", len(site.Leases))
	for _, c := range site.Cameras {
		_, home := site.RecordingServer(c.Home)
		expect(home, "home", c.Home)
		_, mirror := site.FailoverServer(c.Mirror)
		expect(mirror || c.Mirror == "", "mirror", c.Mirror)
		_, lease := site.Lease(c.ID)
		expect(lease, "lease of", c.ID)
	}
	for _, l := range site.Leases {
		_, holder := site.Addresses(l.Holder)
		expect(holder, "holder", l.Holder)
	}
	for _, s := range site.RecordingServers {
		_, mirror := site.FailoverServer(s.MirrorStandby)
		expect(mirror || s.MirrorStandby == "", "mirror", s.MirrorStandby)
		_, hot := site.FailoverServer(s.HotStandby)
		expect(hot || s.HotStandby == "", "standby", s.HotStandby)
		_, group := site.Group(s.PrimaryGroup)
		expect(group || s.PrimaryGroup == "", "group", s.PrimaryGroup)
	}
	for _, g := range site.Groups {
		for _, member := range g.Members {
			_, ok := site.FailoverServer(member)
			expect(ok, "member", member)
		}
	}
	return dangling
}
