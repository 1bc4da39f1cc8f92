package incident

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	defaultIncidents = 50
	maxIncidents     = 200
	takeoversEach    = 4   // that are read for an incident
	maxLots          = 50  // that are read for one incident
	earlier          = 500 // events before an incident in which its first milestones are looked for
	lookEvery        = 2 * time.Second
	looks            = 3 // in a row that must find everything home before an incident is over
)

// Site is the management server as a book of incidents needs it.
type Site interface {
	Site(ctx context.Context) (understudy.Site, error)
	Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error)
	// Conclude writes down, once, what an incident cost that is over.
	Conclude(ctx context.Context, home understudy.ServerID, opened uint64, sentence string, accounts []understudy.CameraAccount) error
}

// Config is what a Book is made of.
type Config struct {
	Site      Site
	Timelines understudy.TimelineService
	// Status is what was last seen of each server.
	Status func() []understudy.ServerStatus
	Log    *slog.Logger // nil is silent
}

// Book tells the incidents of a site out of its log and its footage. It keeps
// nothing that it could not read again.
type Book struct {
	config  Config
	log     *slog.Logger
	recent  recent
	footage footage
}

var _ understudy.IncidentService = (*Book)(nil)

// NewBook returns a book; Run concludes what is over.
func NewBook(c Config) *Book {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Book{config: c, log: c.Log, recent: recent{site: c.Site, most: takeoversEach * defaultIncidents}, footage: footage{timelines: c.Timelines, looked: map[string]*look{}}}
}

// Incidents implements understudy.IncidentService.
func (b *Book) Incidents(ctx context.Context, limit int) ([]understudy.Incident, error) {
	limit = min(cmp.Or(max(limit, 0), defaultIncidents), maxIncidents)
	from := &b.recent
	if limit > defaultIncidents {
		from = &recent{site: b.config.Site, most: takeoversEach * limit}
	}
	all, err := from.newest(ctx)
	if err != nil {
		return nil, err
	}
	who := understudy.Asker(ctx)
	var seen []understudy.Incident
	for _, i := range slices.Backward(all) {
		if i, ok := b.as(who, i); ok && len(seen) < limit {
			seen = append(seen, i)
		}
	}
	return seen, nil
}

// as returns an incident as one may see it, with what is under way of it now.
func (b *Book) as(who understudy.Identity, i understudy.Incident) (understudy.Incident, bool) {
	if i.Phase != understudy.IncidentOver {
		i.Transfers = transfers(i, b.config.Status())
	}
	i, ok := i.Only(func(c understudy.CameraID) bool { return who.May(understudy.ActionStatus, c) == nil })
	for n, c := range i.Cameras {
		if who.May(understudy.ActionPlayback, c.Camera) != nil {
			i.Cameras[n].Account, i.Cameras[n].Spans = nil, nil
		}
	}
	return i, ok
}

// Incident implements understudy.IncidentService.
func (b *Book) Incident(ctx context.Context, id string) (understudy.Incident, error) {
	none := understudy.Errorf(understudy.CodeNotFound, "there is no incident %.80q that you may see; `understudy incidents` lists them", id)
	opened, ok := parseID(id)
	if !ok {
		return understudy.Incident{}, none
	}
	i, ok, err := b.read(ctx, id, opened)
	if err != nil {
		return understudy.Incident{}, err
	}
	who := understudy.Asker(ctx)
	if _, visible := b.as(who, i); !ok || !visible {
		return understudy.Incident{}, none
	}
	if err := b.footage.add(ctx, &i); err != nil {
		return understudy.Incident{}, err
	}
	i, _ = b.as(who, i)
	return i, nil
}

// read derives one incident from the part of the log that it is told in.
func (b *Book) read(ctx context.Context, id string, opened uint64) (understudy.Incident, bool, error) {
	var events []understudy.Event
	after := opened - min(opened, earlier)
	for range maxLots {
		some, err := b.config.Site.Events(ctx, understudy.EventQuery{After: after, Limit: lot})
		if err != nil {
			return understudy.Incident{}, false, err
		}
		events = append(events, slices.DeleteFunc(some, func(e understudy.Event) bool {
			// What was leased before it opened is of another incident.
			return e.Seq < opened && (e.Kind == understudy.EventTakeover || e.Kind == understudy.EventFailback) || e.Kind == understudy.EventTrigger
		})...)
		if len(some) == 0 {
			break
		}
		after = some[len(some)-1].Seq
		if concluded(some, id) || len(some) < lot {
			break
		}
	}
	for _, i := range Derive(events) {
		if i.ID == id {
			return i, true, nil
		}
	}
	return understudy.Incident{}, false, nil
}

func concluded(events []understudy.Event, id string) bool {
	return slices.ContainsFunc(events, func(e understudy.Event) bool {
		return slices.ContainsFunc(e.Changes, func(c understudy.Change) bool { return c.Account != nil && c.Account.Incident == id })
	})
}

// Run concludes incidents whose footage is home, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	settled := map[string]int{} // looks in a row
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := b.look(ctx, settled); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "incidents could not be looked at, and will be again", slog.Any("error", err))
		}
	}
}

// look concludes what was found settled often enough.
func (b *Book) look(ctx context.Context, settled map[string]int) error {
	all, err := b.recent.newest(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(i understudy.Incident) bool { return i.Phase == understudy.IncidentComingHome }) {
		clear(settled)
		return nil
	}
	site, err := b.config.Site.Site(ctx)
	if err != nil {
		return err
	}
	status := b.config.Status()
	for _, i := range all {
		if i.Phase != understudy.IncidentComingHome || !Settled(i, site, status) {
			delete(settled, i.ID)
			continue
		}
		if settled[i.ID]++; settled[i.ID] < looks {
			continue
		}
		if err := b.conclude(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// conclude counts an incident and writes down what it cost. While a server does
// not answer that may hold footage, it is not counted.
func (b *Book) conclude(ctx context.Context, i understudy.Incident) error {
	if whole, ok, err := b.read(ctx, i.ID, i.Seq); err != nil || !ok {
		return err
	} else {
		i = whole
	}
	b.footage.forget(i.ID)
	if err := b.footage.add(ctx, &i); err != nil {
		return err
	}
	var accounts []understudy.CameraAccount
	for _, c := range i.Cameras {
		if c.Account == nil { // the camera is gone from the site
			c.Account = &understudy.CameraAccount{Incident: i.ID, Camera: c.Camera, Gaps: []understudy.Gap{}, Sentence: "the site has no such camera any more"}
		}
		if len(c.Account.Missing) > 0 {
			return nil // later
		}
		accounts = append(accounts, *c.Account)
	}
	return b.config.Site.Conclude(ctx, i.Home, i.Seq, Conclusion(i, accounts), accounts)
}

// footage remembers for a moment what was found of the footage of an incident,
// so that ten people who look at it cost as much as one.
type footage struct {
	timelines understudy.TimelineService

	mu     sync.Mutex
	looked map[string]*look
}

const (
	atOnce    = 4               // timelines that are asked for
	freshFor  = 4 * time.Second // of one that goes on
	steadyFor = time.Minute     // of one that is over
	remember  = 32              // incidents
)

// look is what was found of one incident.
type look struct {
	mu    sync.Mutex // held while it is asked for
	until time.Time
	from  time.Time
	to    time.Time
	lines map[understudy.CameraID]understudy.Timeline
}

func (f *footage) of(id string) *look {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.looked[id]
	if l == nil {
		if len(f.looked) >= remember {
			clear(f.looked)
		}
		l = &look{}
		f.looked[id] = l
	}
	return l
}

func (f *footage) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.looked, id)
}

// add adds accounts and spans to an incident. An account that the log has stays
// as it is: footage may have been deleted since.
func (f *footage) add(ctx context.Context, i *understudy.Incident) error {
	if f.timelines == nil {
		return nil
	}
	l := f.of(i.ID)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.After(l.until) {
		if err := l.ask(ctx, f.timelines, *i, now); err != nil {
			return err
		}
	}
	i.From, i.To = l.from, l.to
	for n, c := range i.Cameras {
		line, ok := l.lines[c.Camera]
		if !ok {
			continue
		}
		i.Cameras[n].Spans = line.Spans
		if c.Account == nil {
			a := Account(*i, line)
			i.Cameras[n].Account = &a
		}
	}
	return nil
}

// ask asks for the timelines of all cameras of an incident.
func (l *look) ask(ctx context.Context, timelines understudy.TimelineService, i understudy.Incident, now time.Time) error {
	from, to := Range(i, now)
	lines, err := askAll(ctx, timelines, i, from, to)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if reachesBack(i, line) {
			from = from.Add(-further)
			if lines, err = askAll(ctx, timelines, i, from, to); err != nil {
				return err
			}
			break
		}
	}
	took := time.Since(now)
	l.from, l.to, l.lines, l.until = from, to, lines, time.Now().Add(max(freshFor, 3*took))
	if i.Phase == understudy.IncidentOver {
		l.until = time.Now().Add(steadyFor)
	}
	return nil
}

func askAll(ctx context.Context, timelines understudy.TimelineService, i understudy.Incident, from, to time.Time) (map[understudy.CameraID]understudy.Timeline, error) {
	lines := map[understudy.CameraID]understudy.Timeline{}
	var mu sync.Mutex
	var failed error
	var asking sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, c := range i.Cameras {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			line, err := timelines.Timeline(ctx, c.Camera, from, to)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				lines[c.Camera] = line
			case understudy.CodeOf(err) != understudy.CodeNotFound:
				failed = err
			}
		})
	}
	asking.Wait()
	return lines, failed
}
