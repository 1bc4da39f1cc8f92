package usage

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/vault/vaulttest"
)

var (
	ada  = understudy.Identity{User: "ada", Address: "192.0.2.7"}
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// told collects what a book reports.
type told struct {
	mu  sync.Mutex
	all []understudy.Report
}

func (l *told) report(r understudy.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

func (l *told) sentences() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, r := range l.all {
		all = append(all, r.Sentence)
	}
	return all
}

// with runs f with a book of rec-1 that is being run, in time that does not pass by itself.
func with(t *testing.T, f func(t *testing.T, b *Book, l *told)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const aside = 500 * time.Millisecond     // looks and requests do not coincide
		time.Sleep(time.Until(noon.Add(-aside))) // the bubble begins in the year 2000
		var l told
		b := New("rec-1", l.report, &vaulttest.Memory{}, slog.New(slog.DiscardHandler))
		done := make(chan error, 1)
		go func() { done <- b.Run(t.Context()) }()
		time.Sleep(aside)
		f(t, b, &l)
	})
}

// play is one request of ada's for a minute of a camera.
func play(b *Book, action understudy.Action, camera understudy.CameraID, minute int) {
	u := b.Begin(ada, ada.Address, action, camera)
	defer u.End()
	u.Gave(noon.Add(time.Duration(minute)*time.Minute), noon.Add(time.Duration(minute+1)*time.Minute))
}

// expect compares what was told, whatever its order, after everything has come to rest.
func expect(t *testing.T, l *told, want ...string) {
	t.Helper()
	synctest.Wait()
	got := l.sentences()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("told is\n%s\nand should be\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Many requests are one use, which is told once none has come for five minutes, and
// says what was given out: what touches is one stretch, what does not is another.
func TestRequestsAreOneUse(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		for n := range 20 {
			play(b, understudy.ActionPlayback, "lobby", n%3)
			time.Sleep(time.Minute)
		}
		play(b, understudy.ActionPlayback, "lobby", 30)
		expect(t, l)
		time.Sleep(quiet + look)
		expect(t, l, "ada played lobby of 2026-03-01T12:00:00Z to 2026-03-01T12:03:00Z, 2026-03-01T12:30:00Z to 2026-03-01T12:31:00Z: "+
			"21 requests to rec-1 at 2026-03-01T12:00:00Z to 2026-03-01T12:20:00Z from 192.0.2.7.")
		time.Sleep(time.Hour)
		if len(l.sentences()) != 1 {
			t.Error("it was told again")
		}
		if r := l.all[0]; r.Kind != understudy.EventAccess || r.Camera != "lobby" || r.Use == nil || r.Use.User != "ada" || r.Use.Address != ada.Address {
			t.Errorf("reported is %+v", r)
		}
	})
}

// Another camera, another action, another address and another user are other uses.
func TestUsesAreToldApart(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		play(b, understudy.ActionPlayback, "lobby", 0)
		play(b, understudy.ActionPlayback, "yard", 0)
		play(b, understudy.ActionExport, "lobby", 0)
		for _, who := range []understudy.Identity{{User: "ada", Address: "192.0.2.8"}, {User: "bob", Address: "192.0.2.7"}} {
			u := b.Begin(who, "203.0.113.9", understudy.ActionExport, "lobby")
			u.Gave(noon, noon.Add(time.Minute))
			u.End()
		}
		time.Sleep(quiet + look)
		const range1, asked = " of 2026-03-01T12:00:00Z to 2026-03-01T12:01:00Z: ", "one request to rec-1 at 2026-03-01T12:00:00Z from "
		expect(t, l, "ada played lobby"+range1+asked+"192.0.2.7.", "ada played yard"+range1+asked+"192.0.2.7.", "ada exported lobby"+range1+asked+"192.0.2.7.",
			"ada exported lobby"+range1+asked+"192.0.2.8, with a media token given out to 203.0.113.9.",
			"bob exported lobby"+range1+asked+"192.0.2.7, with a media token given out to 203.0.113.9.")
	})
}

// A long answer is one use as long as it goes on, and is told each hour.
func TestLongAnswerIsToldEachHour(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		u := b.Begin(ada, "", understudy.ActionPlayback, "lobby")
		for n := range 90 * 60 { // a sample each second for one hour and a half
			u.Gave(noon.Add(time.Duration(n)*time.Second), noon.Add(time.Duration(n+1)*time.Second))
			time.Sleep(time.Second)
		}
		u.End()
		time.Sleep(quiet + look)
		expect(t, l, "ada played lobby of 2026-03-01T12:00:00Z to 2026-03-01T13:00:05Z: one request to rec-1 at 2026-03-01T12:00:00Z to 2026-03-01T13:00:04Z from 192.0.2.7.",
			"ada played lobby of 2026-03-01T13:00:05Z to 2026-03-01T13:30:00Z: one request to rec-1 at 2026-03-01T13:00:05Z to 2026-03-01T13:30:00Z from 192.0.2.7.")
	})
}

// Who gives nothing out, and what servers do, is no use.
func TestWhatIsNoUse(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		b.Begin(ada, "", understudy.ActionExport, "lobby").End()
		u := b.Begin(understudy.Identity{Server: "fo-1", Role: understudy.RoleFailover}, "", understudy.ActionPlayback, "lobby")
		u.Gave(noon, noon)
		u.End()
		b.Refused(understudy.Identity{}, "", understudy.ActionLive, "lobby")
		b.RefusedRoute(understudy.Identity{Address: "192.0.2.7"}, "GET /")
		var none *Book
		none.Begin(ada, "", understudy.ActionExport, "lobby").Gave(noon, noon)
		none.Refused(ada, "", understudy.ActionExport, "lobby")
		none.RefusedRoute(ada, "GET /")
		time.Sleep(2 * time.Hour)
		expect(t, l)
	})
}

// Refusals are counted, told after five minutes although they go on, and what was asked
// for is named as far as it is a name.
func TestRefusalsAreCounted(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		for n := range 600 {
			b.Refused(ada, "", understudy.ActionExport, []understudy.CameraID{"lobby", "yard", "../etc"}[n%3])
			time.Sleep(time.Second)
		}
		time.Sleep(refusedFor + look)
		if got := l.sentences(); len(got) != 2 || got[0] != "ada was refused export of lobby, yard, 101 times others: "+
			"305 requests to rec-1 at 2026-03-01T12:00:00Z to 2026-03-01T12:05:04Z from 192.0.2.7." {
			t.Errorf("told is %q", got)
		}
	})
	with(t, func(t *testing.T, b *Book, l *told) {
		for n := range 20 {
			b.RefusedRoute(ada, fmt.Sprintf("GET /api/v1/%d", n%10))
		}
		b.RefusedRoute(understudy.Identity{Server: "fo-1", Role: understudy.RoleFailover}, "POST /api/v1/leases/claim")
		time.Sleep(refusedFor + look)
		got := l.sentences()
		slices.Sort(got)
		if len(got) != 2 || !strings.HasPrefix(got[0], "ada was refused GET /api/v1/0, GET /api/v1/1, ") || !strings.Contains(got[0], "GET /api/v1/7, 4 other requests: 20 requests") ||
			!strings.HasPrefix(got[1], "fo-1 was refused POST /api/v1/leases/claim: one request") {
			t.Errorf("told is %q", got)
		}
	})
}

// However much one user does, no more than so many events are made of it, and another's
// are told as ever; what is too much is counted.
func TestNobodyFloodsTheLog(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		const cameras, rounds = 1100, 3
		for range rounds {
			for n := range cameras {
				play(b, understudy.ActionPlayback, understudy.CameraID(fmt.Sprintf("camera-%04d", n)), 0)
				if len(b.open) > maxOpen {
					t.Fatalf("%d uses are open", len(b.open))
				}
			}
			time.Sleep(12 * time.Minute)
		}
		u := b.Begin(understudy.Identity{User: "bob"}, "", understudy.ActionExport, "yard")
		u.Gave(noon, noon.Add(time.Minute))
		u.End()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		one, bobs, requests := 0, 0, 0
		for _, r := range l.all {
			switch {
			case r.Use.User == "bob":
				bobs++
			case r.Camera == "" && (len(r.Use.Cameras) != understudy.MaxUseCameras || r.Use.More == 0):
				t.Errorf("a sum is %+v", r.Use)
			}
			if r.Use.User == "ada" {
				one++
				requests += r.Use.Requests
			}
		}
		if most := burst + int(2*time.Hour/every) + 5; one > most || bobs != 1 {
			t.Errorf("%d events of ada's, of at most %d, and %d of bob's", one, most, bobs)
		}
		if requests != cameras*rounds {
			t.Errorf("%d requests of %d are told", requests, cameras*rounds)
		}
		if len(b.budgets) != 0 || len(b.open) != 0 {
			t.Errorf("%d budgets and %d uses are remembered for nothing", len(b.budgets), len(b.open))
		}
	})
}

// A use of very many stretches names as many as fit, the nearest joined.
func TestManyStretchesAreJoined(t *testing.T) {
	var all []understudy.Stretch
	for n := range 100 {
		at := noon.Add(time.Duration(n*n) * time.Minute)
		all = joined(all, understudy.Stretch{From: at, To: at.Add(time.Second)})
	}
	if len(all) != understudy.MaxUseFootage || !all[0].From.Equal(noon) || !all[len(all)-1].To.Equal(noon.Add(99*99*time.Minute+time.Second)) {
		t.Errorf("%d stretches: %v", len(all), all)
	}
	if last := all[len(all)-1]; last.To.Sub(last.From) != time.Second {
		t.Errorf("those that are far apart were joined: %v", all)
	}
}

// What was not told when a server ended suddenly is told when it starts again; at a planned end at once.
func TestUsesOutliveTheirServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l told
		var v vaulttest.Memory
		b := New("rec-1", l.report, &v, slog.New(slog.DiscardHandler))
		go func() { _ = b.Run(t.Context()) }()
		play(b, understudy.ActionExport, "lobby", 0)
		time.Sleep(look)
		synctest.Wait()
		again := New("rec-1", l.report, &v, slog.New(slog.DiscardHandler))
		if got := l.sentences(); len(got) != 1 || !strings.HasPrefix(got[0], "ada exported lobby of 2026-03-01T12:00:00Z") {
			t.Fatalf("told after the restart is %q", got)
		}
		play(again, understudy.ActionPlayback, "yard", 0)
		again.Close()
		if got := l.sentences(); len(got) != 2 || !strings.HasPrefix(got[1], "ada played yard") {
			t.Errorf("told at the end is %q", got)
		}
		New("rec-1", l.report, &v, slog.New(slog.DiscardHandler))
		if got := l.sentences(); len(got) != 2 {
			t.Errorf("told twice: %q", got)
		}
	})
}

// A name that an identity provider chose cannot make a second line, nor a long one.
func TestNamesAreOneLine(t *testing.T) {
	with(t, func(t *testing.T, b *Book, l *told) {
		u := b.Begin(understudy.Identity{User: "eve\nbob " + strings.Repeat("x", 400)}, "", understudy.ActionExport, "lobby")
		u.Gave(noon, noon)
		u.End()
		b.Close()
		if r := l.all[0]; strings.Contains(r.Sentence, "\n") || !strings.HasPrefix(r.Sentence, "eve?bob x") || len(r.Use.User) > maxName {
			t.Errorf("told is %q", r.Sentence)
		}
	})
}
