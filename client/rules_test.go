package client

import (
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/stream"
)

// While the management server is away, an event is told to whoever records the camera.
func TestAnEventIsToldWithoutTheManagementServer(t *testing.T) {
	rec, fo := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": refused(t), "fo-1": fo.address()}, "rec-1", 2))
	if _, err := c.Trigger(t.Context(), understudy.Trigger{Camera: "lobby", Name: "door"}); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("nobody records the camera, and the event was taken: %v", err)
	}
	fo.hub.Store(stream.NewHub()) // it takes over
	told, err := c.Trigger(t.Context(), understudy.Trigger{Camera: "lobby", Name: "door", Data: []byte(`{"door":7}`)})
	if err != nil || told.ID == "" || told.At.IsZero() {
		t.Errorf("it was told as %+v, %v", told, err)
	}
	if len(rec.told)+len(fo.told) != 1 || fo.told[0].ID != told.ID {
		t.Errorf("rec-1 took %+v, fo-1 %+v", rec.told, fo.told)
	}
}

// Notes are found over all servers and cameras, each once, by time and text.
func TestNotesAreFoundOverAllServers(t *testing.T) {
	rec, fo := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	site := siteOf(map[understudy.ServerID]string{"rec-1": rec.address(), "fo-1": fo.address()}, "rec-1", 2)
	site.Cameras = append(site.Cameras, understudy.Camera{ID: "yard", Home: "rec-1"})
	c := newMember(t, site)
	note := func(id string, camera understudy.CameraID, at time.Duration, name, data string) understudy.Note {
		return understudy.Note{ID: id, Camera: camera, Server: "rec-1", Kind: understudy.NoteEvent, From: noon.Add(at), To: noon.Add(at), Name: name, Data: []byte(data)}
	}
	door, far, motion := note("1", "lobby", time.Hour, "Door forced", `{"door":7}`), note("2", "lobby", -40*24*time.Hour, "door", ""), note("3", "yard", 0, "motion", `{"zone":"Door"}`)
	gap := understudy.Note{ID: "4", Camera: "yard", Server: "rec-1", Kind: understudy.NoteGap, Cause: understudy.GapCamera, From: noon, To: noon.Add(time.Second)}
	for _, h := range []*holder{rec, fo} {
		if err := h.TakeNotes([]understudy.Note{door, motion}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.TakeNotes([]understudy.Note{far, gap}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		q    NoteSearch
		want []string
	}{
		{NoteSearch{}, []string{"2", "3", "4", "1"}},
		{NoteSearch{Kind: understudy.NoteEvent, Text: "DOOR"}, []string{"2", "3", "1"}},
		{NoteSearch{Cameras: []understudy.CameraID{"lobby"}, Text: "door"}, []string{"2", "1"}},
		{NoteSearch{Text: "nothing"}, nil},
	} {
		s.q.From, s.q.To = noon.Add(-60*24*time.Hour), noon.Add(24*time.Hour)
		found, missing, err := c.FindNotes(t.Context(), s.q)
		var ids []string
		for _, n := range found {
			ids = append(ids, n.ID)
		}
		if err != nil || len(missing) > 0 || !slices.Equal(ids, s.want) {
			t.Errorf("%+v finds %v, %v, %v; want %v", s.q, ids, missing, err, s.want)
		}
	}
	if _, _, err := c.FindNotes(t.Context(), NoteSearch{From: noon, To: noon}); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("no time at all: %v", err)
	}
}
