package storetest

import (
	"fmt"
	"testing"

	us "understudy"
	"understudy/internal/management"
)

// cameraSet puts many cameras at once: all or none, and in one event.
func cameraSet(t *testing.T, s management.Store) {
	m := New(t, s)
	for _, id := range []us.ServerID{"rec1", "rec2"} {
		want(t, second(m.PutRecordingServer(background, us.RecordingServer{ID: id, Addresses: addresses(string(id))})), "")
	}
	head := func() uint64 { return must[us.Site](t)(m.Site(background)).Seq }
	var set []us.Camera
	for n := range 500 {
		set = append(set, us.Camera{ID: us.CameraID(fmt.Sprintf("cam-%03d", n)), Home: []us.ServerID{"rec1", "rec2"}[n%2], URL: "rtsp://h/1"})
	}
	before := head()
	want(t, m.PutCameras(background, set, map[us.CameraID]us.Secret{"cam-007": "secret"}), "")
	site := must[us.Site](t)(m.Site(background))
	if len(site.Cameras) != 500 || len(site.Leases) != 500 || site.Seq != before+1 {
		t.Fatalf("%d cameras with %d leases in %d events", len(site.Cameras), len(site.Leases), site.Seq-before)
	}
	if l, _ := site.Lease("cam-007"); l.Holder != "rec2" || l.Epoch != 1 {
		t.Errorf("a new camera is served by its home from epoch 1 on, not %+v", l)
	}
	events := must[[]us.Event](t)(m.Events(background, us.EventQuery{After: before, Limit: 10}))
	if e := events[0]; e.Sentence != "Cameras at 2 recording servers: 500 added." || e.Camera != "" || e.Server != "" || e.Kind != us.EventConfig {
		t.Errorf("the event is %+v", e)
	}
	if found := must[[]us.Event](t)(m.Events(background, us.EventQuery{Camera: "cam-007", Limit: 10})); len(found) != 1 {
		t.Errorf("the event is found by each of its cameras, and was found %d times", len(found))
	}
	for _, a := range must[us.Assignment](t)(m.Assignment(background, "rec2")).Cameras {
		if given := a.Credentials.Password == "secret"; given != (a.Camera.ID == "cam-007") {
			t.Errorf("camera %s has the password: %v", a.Camera.ID, given)
		}
	}

	want(t, m.PutCameras(background, set, nil), "") // the same again
	if head() != site.Seq {
		t.Errorf("the same cameras again are no event")
	}
	set[0].Home, set[2].Name = "rec2", "North"
	want(t, m.PutCameras(background, set, nil), "")
	after := must[us.Site](t)(m.Site(background))
	if l, _ := after.Lease("cam-000"); l.Holder != "rec2" || l.Epoch < 2 || after.Seq != site.Seq+1 {
		t.Errorf("a camera that moves is served by its new home under the next epoch, in %d events: %+v", after.Seq-site.Seq, l)
	}
	if told := must[[]us.Event](t)(m.Events(background, us.EventQuery{After: site.Seq, Limit: 10})); told[0].Sentence != "Cameras at 2 recording servers: 1 moved, 1 changed." {
		t.Errorf("%+v", told[0])
	}
	set[4].Name = "South"
	want(t, m.PutCameras(background, set[:10], nil), "")
	if told := must[[]us.Event](t)(m.Events(background, us.EventQuery{After: after.Seq, Limit: 10})); told[0].Sentence != "Camera cam-004 was changed." || told[0].Camera != "cam-004" {
		t.Errorf("one alone is told of like one that was put by itself: %+v", told[0])
	}
	after = must[us.Site](t)(m.Site(background))
	if c, _ := after.Camera("cam-002"); c.Name != "North" {
		t.Errorf("%+v", c)
	}

	for name, bad := range map[string][]us.Camera{
		"none": {}, "too many": append(set, us.Camera{ID: "x", Home: "rec1", URL: "rtsp://h/1"}), "twice": {set[5], set[5]},
		"one without a home": {{ID: "new", Home: "rec1", URL: "rtsp://h/1"}, {ID: "other", Home: "rec9", URL: "rtsp://h/1"}},
		"one without a URL":  {{ID: "new", Home: "rec1", URL: "rtsp://h/1"}, {ID: "other", Home: "rec1"}},
	} {
		want(t, m.PutCameras(background, bad, nil), us.CodeInvalid)
		if head() != after.Seq {
			t.Errorf("%s: something was put", name)
		}
	}
	want(t, m.PutCameras(background, set[:1], map[us.CameraID]us.Secret{"cam-009": "x"}), us.CodeInvalid)
}
