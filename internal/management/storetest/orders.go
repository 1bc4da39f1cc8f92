package storetest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// orders: a hand-over and a maintenance stand whatever is configured meanwhile,
// are found by another process, and end.
func orders(t *testing.T, s management.Store) {
	m := aSite(t, s)
	must[us.RecordingServer](t)(m.HandOver(background, "rec1", us.HandOver{To: "fo2", Reason: "new disks"}))
	changed := must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("rec1"), HotStandby: "fo2",
		Failback: us.FailbackPolicy{Mode: us.FailbackManual}}))
	read, _ := must[us.Site](t)(New(t, s).Site(background)).RecordingServer("rec1")
	same(t, "the recording server", read, changed)
	if !read.HandOver.Stands(time.Now()) || read.HandOver.To != "fo2" || read.HandOver.Reason != "new disks" {
		t.Fatalf("after a change of settings, the order is %+v", read.HandOver)
	}
	for what, err := range map[string]error{
		"a stranger":   second(m.HandOver(background, "rec1", us.HandOver{To: "rec2"})),
		"no server":    second(m.HandOver(background, "rec1", us.HandOver{})),
		"the past":     second(m.HandOver(background, "rec1", us.HandOver{To: "fo2", Until: aTime})),
		"no zone":      second(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("h"), Failback: us.FailbackPolicy{Mode: us.FailbackWindow, Windows: "sun 02:00-03:00", Zone: "Mars"}})),
		"no window":    second(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("h"), Failback: us.FailbackPolicy{Mode: us.FailbackWindow}})),
		"control code": second(m.Maintain(background, "rec1", us.Maintenance{Until: time.Now().Add(time.Hour), Reason: "a\nb"})),
	} {
		if us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("%s: %v, want %s", what, err, us.CodeInvalid)
		}
	}
	want(t, second(m.FailBack(background, "none")), us.CodeNotFound)

	// Under maintenance nothing is taken over, unless it was handed over.
	must[us.RecordingServer](t)(m.Maintain(background, "rec1", us.Maintenance{Until: time.Now().Add(time.Hour)}))
	answer := must[us.ClaimAnswer](t)(m.Claim(background, takeover("orders01", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1})))
	if granted, _ := namesOf(answer); granted != "a" {
		t.Fatalf("what was handed over was refused: %+v", answer.Refused)
	}
	back := must[us.RecordingServer](t)(m.FailBack(background, "rec1"))
	if l, _ := must[us.Site](t)(m.Site(background)).Lease("a"); back.HandOver.Stands(time.Now()) || back.TakesBack(time.Now()).Before(l.Since) {
		t.Errorf("after a failback was ordered: %+v", back)
	}
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("orders02", "fo2", "rec1", us.CameraEpoch{Camera: "b", Epoch: 1})))
	if granted, _ := namesOf(answer); granted != "" || !strings.Contains(answer.Refused[0].Reason, "under maintenance") {
		t.Errorf("under maintenance, a takeover was answered with %+v", answer)
	}
	must[us.RecordingServer](t)(m.Maintain(background, "rec1", us.Maintenance{}))
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("orders04", "fo2", "rec1", us.CameraEpoch{Camera: "b", Epoch: 1, Ordered: true})))
	if granted, _ := namesOf(answer); granted != "" || !strings.Contains(answer.Refused[0].Reason, "not handed over") {
		t.Errorf("after the order had ended, a claim that was made for it was answered with %+v", answer)
	}
	answer = must[us.ClaimAnswer](t)(m.Claim(background, takeover("orders03", "fo2", "rec1", us.CameraEpoch{Camera: "b", Epoch: 1})))
	if granted, _ := namesOf(answer); granted != "b" {
		t.Errorf("after the maintenance, a takeover was answered with %+v", answer)
	}
	isFolded(t, m)
}

// OrdersEnd lets time pass over orders in a store in memory.
func OrdersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aSite(t, management.NewMemory())
		must[us.RecordingServer](t)(m.HandOver(background, "rec1", us.HandOver{To: "fo2", Until: time.Now().Add(2 * time.Hour)}))
		must[us.RecordingServer](t)(m.Maintain(background, "rec1", us.Maintenance{Until: time.Now().Add(4 * time.Hour)}))
		seq := must[us.Site](t)(m.Site(background)).Seq
		for range 5 * 12 {
			time.Sleep(5 * time.Minute)
			want(t, m.TendOrders(background), "")
		}
		var told []string
		for _, e := range must[[]us.Event](t)(m.Events(background, us.EventQuery{After: seq, Limit: 100})) {
			told = append(told, e.Sentence)
		}
		for i, part := range []string{"it takes its part back", "ends in 15m0s", "it is stood in for again"} {
			if len(told) != 3 || !strings.Contains(told[i], part) {
				t.Fatalf("told %q, want the ends and one reminder", told)
			}
		}
		r, _ := must[us.Site](t)(m.Site(background)).RecordingServer("rec1")
		if r.HandOver != (us.HandOver{}) || r.Maintenance != (us.Maintenance{}) || r.TakeBack.IsZero() {
			t.Errorf("after all, there is %+v", r)
		}
	})
}

// OrderEndsBeforeAClaim has home take its part back at the moment at which its
// hand-over is over: who reads of the lease reads of no order that stands.
func OrderEndsBeforeAClaim(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m, err := management.New(background, management.NewMemory(), management.Options{Clock: func() time.Time { return now }})
	want(t, err, "")
	must[us.FailoverServer](t)(m.PutFailoverServer(background, us.FailoverServer{ID: "fo2", Addresses: addresses("fo2")}))
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("rec1"), HotStandby: "fo2"}))
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "a", Home: "rec1", URL: "rtsp://cam/a"}, nil))
	must[us.RecordingServer](t)(m.HandOver(background, "rec1", us.HandOver{To: "fo2", Until: now.Add(time.Minute)}))
	must[us.ClaimAnswer](t)(m.Claim(background, takeover("orders01", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1})))
	now = now.Add(time.Minute)
	back := us.Claim{ID: "orders02", Claimant: "rec1", Home: "rec1", Kind: us.ClaimFailback, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 2}}}
	answer := must[us.ClaimAnswer](t)(m.Claim(background, back))
	site := must[us.Site](t)(m.Site(background))
	if r, _ := site.RecordingServer("rec1"); len(answer.Granted) != 1 || r.HandOver != (us.HandOver{}) || !r.TakeBack.Equal(now) {
		t.Errorf("home was answered %+v, and is %+v", answer, r)
	}
}
