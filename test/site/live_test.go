package site_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/drill"
)

// A drill on a running site hands over and back without a lost frame and without
// touching a process, leaves a record that says it was one, and is refused while
// a real failure would not be covered.
func TestLiveDrill(t *testing.T) {
	s := up(t, false)
	// The management server looks once a second, and a camera needs its time to be well.
	eventually(t, "every server to have been seen", func(ctx context.Context) bool {
		status, err := s.Client.Status(ctx)
		return err == nil && len(status) == 2
	})
	live := drill.Live{Home: "rec1", Hold: 6 * time.Second, Say: func(text string) { t.Log(text) }}
	r, err := drill.RunLive(t.Context(), s.Client, live)
	if err != nil {
		t.Fatal(err)
	}
	i := r.Incident
	if !r.Passed || !i.Drill || !i.Planned || i.Phase != understudy.IncidentOver || len(i.Cameras) != 2 {
		t.Errorf("the rehearsal is %+v", r)
	}
	for _, c := range i.Cameras {
		if c.Account == nil || c.Account.Milliseconds != 0 || c.Account.Seams == 0 && len(c.Tenures) == 0 {
			t.Errorf("camera %s: %+v", c.Camera, c.Account)
		}
	}
	t.Log(i.Sentence)
	for _, step := range i.Steps {
		t.Logf("%8.3f %-16s %s", step.At.Sub(i.Begun).Seconds(), step.Kind, step.Sentence)
	}
	if _, err := s.Client.HandOver(t.Context(), "rec1", understudy.HandOver{Reason: "new disks"}); err != nil {
		t.Fatal(err)
	}
	if _, err := drill.RunLive(t.Context(), s.Client, live); understudy.CodeOf(err) != understudy.CodeConflict || !strings.Contains(err.Error(), "handed over") {
		t.Errorf("a drill while rec1 hands over must be refused, got %v", err)
	}
}
