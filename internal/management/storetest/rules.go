package storetest

import (
	"context"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

func as(user string, role us.UserRole) context.Context {
	return us.WithAsker(background, us.Identity{User: user, Actions: role.Actions(), Cameras: []us.CameraID{us.AllCameras}})
}

func ruled(t *testing.T, s management.Store) *management.Management {
	m := New(t, s)
	want(t, second(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("rec1")})), "")
	want(t, second(m.PutCamera(background, us.Camera{ID: "a", Home: "rec1", URL: "rtsp://h/"}, nil)), "")
	want(t, second(m.PutCamera(background, us.Camera{ID: "b", Home: "rec1", URL: "rtsp://h/"}, nil)), "")
	return m
}

func triggers(t *testing.T, s management.Store) {
	m, ctx := ruled(t, s), as("panel", us.RoleOperator)
	told := func() []us.Event {
		return must[[]us.Event](t)(m.Events(background, us.EventQuery{Kind: us.EventTrigger}))
	}
	first := must[us.Trigger](t)(m.Trigger(ctx, us.Trigger{ID: "door-1", Camera: "a", Name: "door forced", Data: []byte(`{"door":7}`)}))
	if first.At.IsZero() || !first.Until.Equal(first.At) {
		t.Errorf("an event without times is one of now, and is %+v", first)
	}
	same(t, "the same again", must[us.Trigger](t)(m.Trigger(ctx, first)), first)
	if events := told(); len(events) != 1 || events[0].Camera != "a" || events[0].Actor != "user:panel" || len(events[0].Changes) != 1 || events[0].Changes[0].Trigger.ID != "door-1" {
		t.Fatalf("an event that was told twice is in the log once, with all of it; found %+v", events)
	}
	again := must[us.Trigger](t)(m.Trigger(ctx, us.Trigger{ID: "door-1", Camera: "a", Name: "door open"}))
	same(t, "told again by who knows no time", again, first)
	if events := told(); len(events) != 1 {
		t.Errorf("an event that is told again without a time happened once; the log has %+v", events)
	}
	longer := first
	longer.Until = first.At.Add(10 * time.Second)
	must[us.Trigger](t)(m.Trigger(ctx, longer))
	if events := told(); len(events) != 2 || !events[1].Changes[0].Trigger.Until.Equal(longer.Until) {
		t.Errorf("an event that lasts is told again; the log has %+v", events)
	}
	for code, bad := range map[us.Code]us.Trigger{
		us.CodeConflict: {ID: "door-1", Camera: "b", Name: "door forced", At: first.At},
		us.CodeNotFound: {Camera: "none", Name: "x"},
		us.CodeInvalid:  {Camera: "a", Name: "x", At: time.Now().Add(-25 * time.Hour)},
	} {
		want(t, second(m.Trigger(ctx, bad)), code)
	}
	if made := must[us.Trigger](t)(m.Trigger(ctx, us.Trigger{Camera: "a", Name: "x"})); made.ID == "" {
		t.Error("an event without an id gets one")
	}
	var err error
	for range 400 {
		if _, err = m.Trigger(ctx, us.Trigger{ID: "door-1", Camera: "a", Name: "door forced", At: longer.At, Until: longer.Until, Data: longer.Data}); err != nil {
			break
		}
	}
	want(t, err, us.CodeUnavailable)
	want(t, second(m.Trigger(as("other", us.RoleOperator), us.Trigger{Camera: "a", Name: "x"})), "")
}

func locks(t *testing.T, s management.Store) {
	m, ada, olga, root := ruled(t, s), as("ada", us.RoleOperator), as("olga", us.RoleOperator), as("root", us.RoleAdministrator)
	lock := us.Lock{ID: "case-7", Camera: "a", From: aTime, To: aTime.Add(time.Hour), Reason: "case 7", Owner: "somebody"}
	made := must[us.Lock](t)(m.PutLock(ada, lock))
	if made.Owner != "ada" {
		t.Errorf("the owner is who locks, and is %q", made.Owner)
	}
	same(t, "locks", must[[]us.Lock](t)(m.Locks(background)), []us.Lock{made})
	same(t, "the site's locks", must[us.Site](t)(m.Site(background)).Locks, []us.Lock{made})
	longer := made
	longer.To, longer.Owner = aTime.Add(2*time.Hour), "olga"
	want(t, second(m.PutLock(olga, longer)), us.CodeForbidden)
	if changed := must[us.Lock](t)(m.PutLock(root, longer)); changed.Owner != "ada" || !changed.To.Equal(longer.To) {
		t.Errorf("changed by an administrator it is %+v", changed)
	}
	want(t, m.RemoveLock(olga, "case-7"), us.CodeForbidden)
	want(t, m.RemoveLock(ada, "case-8"), us.CodeNotFound)
	elsewhere := us.WithAsker(background, us.Identity{User: "ada", Actions: us.RoleOperator.Actions(), Cameras: []us.CameraID{"b"}})
	want(t, m.RemoveLock(elsewhere, "case-7"), us.CodeForbidden) // the camera is not hers any more
	want(t, m.RemoveLock(ada, "case-7"), "")
	want(t, m.RemoveLock(ada, "case-7"), us.CodeNotFound)
	for code, bad := range map[us.Code]us.Lock{
		us.CodeNotFound: {Camera: "none", From: aTime, To: aTime.Add(1), Reason: "x"},
		us.CodeInvalid:  {Camera: "a", From: aTime, To: aTime.Add(time.Hour), Reason: "x", Until: aTime},
	} {
		if code == us.CodeNotFound {
			bad.To = aTime.Add(time.Second)
		}
		want(t, second(m.PutLock(ada, bad)), code)
	}
	if events := must[[]us.Event](t)(m.Events(background, us.EventQuery{Kind: us.EventLock, Camera: "a"})); len(events) < 2 || events[0].Actor != "user:ada" {
		t.Errorf("who locked and why is in the log; it has %+v", events)
	}
	// A lock that has ended is in no list, and goes with the next change.
	update(t, s, func(tx management.Tx) error {
		old := us.Lock{ID: "old", Camera: "a", From: aTime, To: aTime.Add(time.Hour), Owner: "ada", Reason: "x", Until: aTime}
		return second(tx.Append(us.Event{At: aTime, Kind: us.EventLock, Camera: "a", Changes: []us.Change{{Lock: &old}}}))
	})
	same(t, "locks in force", len(must[[]us.Lock](t)(m.Locks(background))), 0)
	next := must[us.Lock](t)(m.PutLock(ada, us.Lock{Camera: "b", From: aTime, To: aTime.Add(time.Hour), Reason: "x"}))
	same(t, "the site's locks at last", must[us.Site](t)(m.Site(background)).Locks, []us.Lock{next})
}
