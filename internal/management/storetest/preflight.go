package storetest

import (
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

func preflights(t *testing.T, s management.Store) {
	m := aSite(t, s)
	if all := must[[]us.Preflight](t)(m.Preflights(background)); len(all) != 0 {
		t.Fatalf("before any, there are %v", all)
	}
	red := us.Finding{Home: "rec1", Camera: "a", About: us.AboutCredentials, Red: true, Sentence: "camera a refuses\nthe password"}
	pale := us.Finding{Home: "rec1", Camera: "b", About: us.AboutCredentials, Sentence: "nothing is known of b"}
	first := us.Preflight{Server: "fo2", At: aTime, Took: time.Second, Homes: []us.ServerID{"rec1", "rec2"}, Cameras: 3, Reached: 1, Findings: []us.Finding{red, pale}}
	seq := must[us.Site](t)(m.Site(background)).Seq
	want(t, m.PutPreflight(background, first), "")
	first.Findings[0].Sentence = "camera a refuses the password"
	same(t, "the pre-flight", must[[]us.Preflight](t)(New(t, s).Preflights(background)), []us.Preflight{first}) // another process reads it

	again := first
	again.At = aTime.Add(time.Minute)
	again.Findings = []us.Finding{red, pale}
	again.Findings[0].Sentence = "camera a refuses the password, still"
	want(t, m.PutPreflight(background, again), "")
	mended := again
	mended.Findings = nil
	want(t, m.PutPreflight(background, mended), "")
	want(t, m.PutPreflight(background, us.Preflight{Server: "fo1", At: aTime}), "")

	var told []us.Event
	for _, e := range must[[]us.Event](t)(m.Events(background, us.EventQuery{After: seq, Limit: 100})) {
		if e.Kind == us.EventServer {
			told = append(told, e)
		}
	}
	if len(told) != 2 || !strings.Contains(told[0].Sentence, "new in the way") || !strings.Contains(told[0].Sentence, "refuses the password") ||
		!strings.Contains(told[1].Sentence, "no longer") || told[0].Camera != "a" || told[0].Actor != "server:fo2" {
		t.Errorf("of a finding that came and went, the log tells %+v", told)
	}
	if all := must[[]us.Preflight](t)(m.Preflights(background)); len(all) != 2 || all[0].Server != "fo1" || all[1].Server != "fo2" || all[1].Red("") {
		t.Errorf("the latest are %+v", all)
	}
	want(t, m.PutPreflight(background, us.Preflight{Server: "rec1"}), us.CodeNotFound)
	want(t, m.PutPreflight(background, us.Preflight{Server: "fo1", Findings: make([]us.Finding, 20001)}), us.CodeInvalid)
	want(t, m.PutPreflight(background, us.Preflight{Server: "fo1", Findings: []us.Finding{{Camera: "../x"}}}), us.CodeInvalid)

	must[us.FailoverGroup](t)(m.PutGroup(background, us.FailoverGroup{ID: "east", Members: []us.ServerID{"fo1"}}))
	want(t, m.DeleteServer(background, "fo2"), "")
	if all := must[[]us.Preflight](t)(m.Preflights(background)); len(all) != 1 {
		t.Errorf("of a server that is gone, a pre-flight is left: %+v", all)
	}
	isFolded(t, m)
}
