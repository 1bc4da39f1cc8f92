package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"understudy"
)

// Site is a running site, as an administrator uses it: *client.Client.
type Site interface {
	Site(ctx context.Context) (understudy.Site, error)
	Status(ctx context.Context) ([]understudy.ServerStatus, error)
	understudy.IncidentService
	understudy.PreflightService
	HandOver(ctx context.Context, home understudy.ServerID, o understudy.HandOver) (understudy.RecordingServer, error)
	FailBack(ctx context.Context, home understudy.ServerID) (understudy.RecordingServer, error)
}

// Live says what is rehearsed on a running site.
type Live struct {
	Home understudy.ServerID // whose cameras are handed over
	Hold time.Duration       // how long others hold them
	Say  func(string)        // progress, a sentence each
}

const (
	handOverTime = 60 * time.Second // for all cameras to be held by others, and to be back
	comeHome     = 30 * time.Minute // for the footage of a drill to be home
	recallTime   = 10 * time.Second
	liveEvery    = 500 * time.Millisecond
	// minHold lets both servers record the same for long enough to be compared.
	minHold = 5 * time.Second
	maxHold = time.Hour
)

// Rehearsal is what a drill on a running site came to: the site's own record of it.
type Rehearsal struct {
	Incident understudy.Incident `json:"incident"`
	Passed   bool                `json:"passed"`
	Why      string              `json:"why"`
}

// Print writes the rehearsal for a person.
func (r Rehearsal) Print(w io.Writer) {
	verdict := "PASSED"
	if !r.Passed {
		verdict = "FAILED"
	}
	fmt.Fprintf(w, "%s  %s\n%s\n", verdict, r.Incident.ID, r.Why)
	for _, c := range r.Incident.Cameras {
		if c.Account != nil {
			fmt.Fprintf(w, "  %-20s %s\n", c.Camera, c.Account.Sentence)
		}
	}
}

// RunLive hands the cameras of a recording server over to those who stand by for
// it, and back, and reads from the site's record what it cost. No process is
// touched. An error says why the drill could not be done, or must not be: while
// a real failure would not be covered.
func RunLive(ctx context.Context, s Site, l Live) (Rehearsal, error) {
	if l.Hold < minHold || l.Hold > maxHold {
		return Rehearsal{}, understudy.Errorf(understudy.CodeInvalid, "others hold the cameras of a drill for %s to %s, not %s", minHold, maxHold, l.Hold)
	}
	if l.Say == nil {
		l.Say = func(string) {}
	}
	site, err := ready(ctx, s, l.Home)
	if err != nil {
		return Rehearsal{}, err
	}
	cameras := handedOver(site, l.Home)
	l.Say(fmt.Sprintf("%s hands over %d cameras", l.Home, len(cameras)))
	begun := time.Now()
	order := understudy.HandOver{Until: begun.Add(handOverTime + l.Hold + handOverTime), Reason: "a drill", Drill: true}
	if _, err := s.HandOver(ctx, l.Home, order); err != nil {
		return Rehearsal{}, err
	}
	if err := l.hold(ctx, s, cameras); err != nil {
		return Rehearsal{}, errors.Join(err, recall(ctx, s, l.Home))
	}
	l.Say(fmt.Sprintf("%s takes them back", l.Home))
	if err := recall(ctx, s, l.Home); err != nil {
		return Rehearsal{}, err
	}
	if err := l.await(ctx, s, handOverTime, "every camera to be back at "+string(l.Home), cameras, func(holder understudy.ServerID) bool { return holder == l.Home }); err != nil {
		return Rehearsal{}, err
	}
	l.Say("waiting for the footage to go home, and to be counted")
	incident, err := l.record(ctx, s, site)
	if err != nil {
		return Rehearsal{}, err
	}
	return judgeLive(incident), nil
}

// handedOver are the cameras that others can hold.
func handedOver(site understudy.Site, home understudy.ServerID) (cameras []understudy.CameraID) {
	for _, c := range site.Cameras {
		if c.Home == home && c.WithDefaults().Failover != understudy.SupportNone {
			cameras = append(cameras, c.ID)
		}
	}
	return cameras
}

// hold waits until others hold the cameras, and for as long as they are to.
func (l Live) hold(ctx context.Context, s Site, cameras []understudy.CameraID) error {
	if err := l.await(ctx, s, handOverTime, "every camera to be held by those who stand by", cameras, func(holder understudy.ServerID) bool { return holder != l.Home }); err != nil {
		return err
	}
	l.Say(fmt.Sprintf("they are held by others, for %s", l.Hold))
	return pause(ctx, l.Hold)
}

// recall ends the order, also when the drill was given up.
func recall(ctx context.Context, s Site, home understudy.ServerID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTime)
	defer cancel()
	_, err := s.FailBack(ctx, home)
	return err
}

// await waits until the holder of each camera is as it is to be.
func (l Live) await(ctx context.Context, s Site, limit time.Duration, what string, cameras []understudy.CameraID, right func(understudy.ServerID) bool) error {
	return waitEvery(ctx, liveEvery, limit, what, func(ctx context.Context) bool {
		now, err := s.Site(ctx)
		return err == nil && !slices.ContainsFunc(cameras, func(c understudy.CameraID) bool {
			lease, ok := now.Lease(c)
			return ok && !right(lease.Holder)
		})
	})
}

// record waits until the incident of this drill is over, and returns it.
func (l Live) record(ctx context.Context, s Site, before understudy.Site) (understudy.Incident, error) {
	var found understudy.Incident
	err := waitEvery(ctx, 2*time.Second, comeHome, "the incident to be over", func(ctx context.Context) bool {
		all, err := s.Incidents(ctx, 0)
		if err != nil {
			return false
		}
		all = slices.DeleteFunc(all, func(i understudy.Incident) bool { return i.Home != l.Home || i.Seq <= before.Seq || !i.Drill })
		if len(all) == 0 || all[len(all)-1].Phase != understudy.IncidentOver {
			return false
		}
		found, err = s.Incident(ctx, all[len(all)-1].ID)
		return err == nil
	})
	return found, err
}

func judgeLive(i understudy.Incident) Rehearsal {
	r := Rehearsal{Incident: i, Passed: true, Why: i.Sentence}
	for _, c := range i.Cameras {
		if c.Account == nil || !c.Account.Complete {
			r.Passed = false
			r.Why = fmt.Sprintf("camera %s: %s", c.Camera, cmp.Or(sentenceOf(c.Account), "nobody counted what is missing"))
		}
	}
	return r
}

func sentenceOf(a *understudy.CameraAccount) string {
	if a == nil {
		return ""
	}
	return a.Sentence
}

// ready returns the site if a drill of home may be held now.
func ready(ctx context.Context, s Site, home understudy.ServerID) (understudy.Site, error) {
	site, err := s.Site(ctx)
	if err != nil {
		return site, err
	}
	status, err := s.Status(ctx)
	if err != nil {
		return site, err
	}
	incidents, err := s.Incidents(ctx, 0)
	if err != nil {
		return site, err
	}
	preflights, err := s.Preflights(ctx)
	if err != nil {
		return site, err
	}
	if why := uncovered(site, status, incidents, preflights, home, time.Now()); why != "" {
		return site, understudy.Errorf(understudy.CodeConflict, "no drill now: %s", why)
	}
	return site, nil
}

// uncovered says why a drill of home must not be held: a real failure meanwhile
// would not be covered, or could not be told from the drill. Empty: it may be.
func uncovered(site understudy.Site, status []understudy.ServerStatus, incidents []understudy.Incident, preflights []understudy.Preflight, home understudy.ServerID, now time.Time) string {
	if _, ok := site.RecordingServer(home); !ok {
		return fmt.Sprintf("there is no recording server %q", string(home))
	}
	standbys := site.Standbys(understudy.Camera{Home: home})
	switch {
	case len(standbys) == 0:
		return fmt.Sprintf("nobody stands by for %s", home)
	case len(handedOver(site, home)) == 0:
		return fmt.Sprintf("%s has no camera that others may hold", home)
	}
	for _, r := range site.RecordingServers {
		switch {
		case r.HandOver.Stands(now):
			return fmt.Sprintf("%s is %s", r.ID, r.HandOver)
		case r.Maintenance.Stands(now):
			return fmt.Sprintf("%s is %s", r.ID, r.Maintenance)
		}
	}
	for _, l := range site.Leases {
		if c, _ := site.Camera(l.Camera); l.Holder != c.Home {
			return fmt.Sprintf("%s stands in for %s already, with camera %s", l.Holder, c.Home, l.Camera)
		}
	}
	if why := ailing(site, status); why != "" {
		return why
	}
	for _, i := range incidents {
		if i.Phase != understudy.IncidentOver {
			return fmt.Sprintf("incident %s is not over: %s", i.ID, i.Sentence)
		}
	}
	for _, p := range preflights {
		if slices.Contains(standbys, p.Server) && p.Red(home) {
			return fmt.Sprintf("the pre-flight of %s is red for %s: %s", p.Server, home, firstRed(p, home))
		}
	}
	return ""
}

// ailing says which server does not answer, or is not well.
func ailing(site understudy.Site, status []understudy.ServerStatus) string {
	seen := map[understudy.ServerID]understudy.ServerStatus{}
	for _, s := range status {
		seen[s.Server] = s
	}
	var all []understudy.ServerID
	for id := range site.MediaServers() {
		all = append(all, id)
	}
	slices.Sort(all)
	for _, id := range all {
		s, known := seen[id]
		switch {
		case !known:
			return fmt.Sprintf("the management server has not seen %s yet", id)
		case !s.Reachable:
			return fmt.Sprintf("%s is away: %s", id, s.Sentence)
		case s.State == nil || !s.State.Storage.Writable:
			return fmt.Sprintf("the storage of %s cannot be written", id)
		case s.State.Leaving != "":
			return fmt.Sprintf("%s is about to leave: %s", id, s.State.Leaving)
		case len(s.State.Transfers) > 0:
			return fmt.Sprintf("footage is on its way from %s to %s", s.State.Transfers[0].From, s.State.Transfers[0].To)
		}
		for _, c := range s.State.Cameras {
			if lease, _ := site.Lease(c.Camera); lease.Holder == id && c.Fault != "" {
				return fmt.Sprintf("camera %s is not well on %s: %s", c.Camera, id, strings.TrimSuffix(c.Fault, "."))
			}
		}
	}
	return ""
}

func firstRed(p understudy.Preflight, home understudy.ServerID) string {
	for _, f := range p.Findings {
		if f.Red && (f.Home == "" || f.Home == home) {
			return f.Sentence
		}
	}
	return "it says not why"
}
