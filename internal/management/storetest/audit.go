package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/management"
)

// audit: each act says who, from where, and what was there before; the log is as it was
// written, until somebody changes it behind the authority's back.
func audit(t *testing.T, s management.Store) {
	m := aSite(t, s)
	ada := us.WithAsker(background, us.Identity{User: "ada", Address: "10.1.2.3"})
	was := must[us.Camera](t)(m.Camera(background, "a"))
	now := was
	now.Name = "100% of the yard_"
	must[us.Camera](t)(m.PutCamera(ada, now, nil))
	want(t, m.DeleteCamera(ada, "d"), "")
	events := must[[]us.Event](t)(m.Events(background, us.EventQuery{Actor: "user:ada", Limit: 10}))
	if len(events) != 2 || events[0].From != "10.1.2.3" || len(events[0].Was) != 1 || events[0].Was[0].Camera.Name != was.Name ||
		len(events[1].Was) != 1 || events[1].Was[0].Camera.ID != "d" {
		t.Errorf("what ada did is told as %+v", events)
	}
	searches(t, m, events)
	auditsUsers(t, m)
	whole := must[us.Audit](t)(m.VerifyAudit(background))
	last := must[us.Site](t)(m.Site(background)).Seq
	if whole.First != 1 || whole.Chained != 1 || whole.Last != last || len(whole.Faults) > 0 {
		t.Errorf("the log is found to be %+v, and nobody touched it", whole)
	}
	for _, c := range []struct {
		name   string
		forge  func([]us.Event) []us.Event
		faults []uint64 // the events at which it is found
	}{
		{"a sentence", func(e []us.Event) []us.Event { e[4].Sentence += " Really."; return e }, []uint64{5}},
		{"who did it", func(e []us.Event) []us.Event { e[4].Actor = "user:bob"; return e }, []uint64{5}},
		{"what was there before", func(e []us.Event) []us.Event { e[last-1].Was = nil; return e }, []uint64{last}},
		{"an event and its hash", func(e []us.Event) []us.Event { e[4].Sentence, e[4].Hash = "Nothing.", e[3].Hash; return e }, []uint64{6, 5}},
		{"one is removed", func(e []us.Event) []us.Event { return slices.Delete(e, 4, 5) }, []uint64{6}},
		{"the last is removed", func(e []us.Event) []us.Event { return e[:last-1] }, []uint64{last}},
		{"two have changed places", func(e []us.Event) []us.Event {
			e[4], e[5] = e[5], e[4]
			e[4].Seq, e[5].Seq = 5, 6
			return e
		}, []uint64{7, 6, 5}},
		{"hashes are gone", func(e []us.Event) []us.Event {
			for i := range 5 {
				e[i].Hash = ""
			}
			return e
		}, []uint64{6}},
		{"the oldest were forgotten", func(e []us.Event) []us.Event { return e[4:] }, nil},
	} {
		forged := must[us.Audit](t)(New(t, forgery{s, c.forge}).VerifyAudit(background))
		var at []uint64
		for _, f := range forged.Faults {
			at = append(at, f.Event)
		}
		if !slices.Equal(at, c.faults) {
			t.Errorf("%s: found at %v, want %v: %s", c.name, at, c.faults, forged.Sentence)
		}
	}
}

// auditsUsers: who was given which rights on what, and had which before, in words and as data.
func auditsUsers(t *testing.T, m *management.Management) {
	password := us.Secret("correct horse")
	must[us.User](t)(m.PutUser(background, us.User{Name: "carl", Role: us.RoleAdministrator}, &password)) // the last one stays it
	vera := us.User{Name: "vera", Role: us.RoleViewer, Cameras: []us.CameraID{"a", "b"}}
	must[us.User](t)(m.PutUser(background, vera, &password))
	vera.Role, vera.Cameras = us.RoleAdministrator, []us.CameraID{us.AllCameras}
	must[us.User](t)(m.PutUser(background, vera, &password))
	must[us.User](t)(m.PutUser(background, vera, &password))
	vera.Role, vera.Cameras = us.RoleOperator, []us.CameraID{"b"}
	must[us.User](t)(m.PutUser(background, vera, nil))
	must[us.User](t)(m.PutUser(background, vera, nil)) // changes nothing
	want(t, m.DeleteCamera(background, "b"), "")
	want(t, m.DeleteUser(background, "vera"), "")
	events := must[[]us.Event](t)(m.Events(background, us.EventQuery{Limit: 6}))
	for i, of := range []struct{ told, was, is string }{
		{"User vera was added as viewer of a, b.", "", "viewer:a,b"},
		{"User vera was viewer of a, b, and is administrator of all cameras now, with a new password.", "viewer:a,b", "administrator:*"},
		{"User vera was given a new password.", "administrator:*", "administrator:*"},
		{"User vera was administrator of all cameras, and is operator of b now.", "administrator:*", "operator:b"},
		{"Camera b was deleted; its footage stays until retention takes it.", "operator:b", "operator:"},
		{"User vera was deleted, who was operator of no camera.", "operator:", ""},
	} {
		if e := events[i]; e.Sentence != of.told || grantsIn(e.Was) != of.was || grantsIn(e.Changes) != of.is {
			t.Errorf("%q is told, of %s before and %s after; want %+v", e.Sentence, grantsIn(e.Was), grantsIn(e.Changes), of)
		}
	}
}

func grantsIn(changes []us.Change) (text string) {
	for _, c := range changes {
		if c.User != nil {
			text += c.User.Grants()[0].String()
		}
	}
	return text
}

// forgery is a store somebody has written to who does not have the key.
type forgery struct {
	management.Store
	forge func([]us.Event) []us.Event
}

func (f forgery) View(ctx context.Context, view func(management.Reader) error) error {
	return f.Store.View(ctx, func(r management.Reader) error { return view(forged{r, f.forge}) })
}

type forged struct {
	management.Reader
	forge func([]us.Event) []us.Event
}

// Events are few here: what was forged is selected by number only.
func (f forged) Events(q us.EventQuery) ([]us.Event, error) {
	all, err := f.Reader.Events(us.EventQuery{Limit: 1000})
	all = slices.DeleteFunc(f.forge(slices.Clone(all)), func(e us.Event) bool { return q.Before > 0 && e.Seq >= q.Before })
	return all, err
}

// searches finds the two events in all ways in which one may search, and nothing else.
func searches(t *testing.T, m *management.Management, both []us.Event) {
	t.Helper()
	for name, c := range map[string]struct {
		query us.EventQuery
		want  []us.Event
	}{
		"since":             {us.EventQuery{Since: both[0].At, Actor: "user:ada"}, both},
		"until":             {us.EventQuery{Until: both[0].At, Actor: "user:ada"}, nil},
		"text in any case":  {us.EventQuery{Text: "CAMERA D WAS DEL"}, both[1:]},
		"text is only text": {us.EventQuery{Text: "%"}, nil},
		"and no pattern":    {us.EventQuery{Text: "camera_d"}, nil},
		"another actor":     {us.EventQuery{Actor: "user:adam"}, nil},
		"a server":          {us.EventQuery{Server: "nobody"}, nil},
	} {
		c.query.Limit = 10
		if got := must[[]us.Event](t)(m.Events(background, c.query)); len(got) != len(c.want) || len(got) > 0 && got[0].Seq != c.want[0].Seq {
			t.Errorf("by %s found %+v, want %+v", name, got, c.want)
		}
	}
	_, err := m.Events(background, us.EventQuery{Text: strings.Repeat("x", 201)})
	want(t, err, us.CodeInvalid)
}
