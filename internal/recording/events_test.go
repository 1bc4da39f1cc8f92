package recording

import (
	"testing"
	"time"

	"understudy"
)

// A real camera that is recorded on events: what is on disk is its own frames,
// each once, from before the event on, although the memory of those that waited
// in vain is used again.
func TestARealCameraIsRecordedOnEvents(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	a.Cameras[0].Camera.Rule = understudy.RecordingRule{Mode: understudy.RecordEvents, Before: time.Second, After: time.Second}
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	waits := func() bool {
		state := r.State()
		return len(state.Cameras) == 1 && state.Cameras[0].Waiting && state.Cameras[0].Frames > 130
	}
	until(t, "it waits, and frames have come and gone", waits)
	if frames := r.frames(t, "lobby"); len(frames) > 0 {
		t.Fatalf("without an event %d frames are on disk", len(frames))
	}
	if !r.Buffers("lobby", r.State().Cameras[0].Buffered.Hash) {
		t.Error("its newest sample is not in memory")
	}
	at := time.Now()
	if err := r.Trigger(understudy.Trigger{ID: "door", Camera: "lobby", Name: "door", At: at, Until: at}); err != nil {
		t.Fatal(err)
	}
	until(t, "the footage of the event is there", func() bool {
		segments, err := r.store.Segments(t.Context(), "lobby", at, at.Add(time.Minute), false)
		return err == nil && len(segments) == 1 && segments[0].Closed && segments[0].End.After(at.Add(time.Second))
	})
	gapless(t, r.frames(t, "lobby"), 30)
}
