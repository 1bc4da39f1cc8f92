package merge

import (
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/wire"
)

// TestAccess says of each message what home answers to fo-1, by the name of the answer:
// about footage that fo-1 itself recorded, that another server recorded, and of a camera
// that does not belong there. Whoever sends what only home sends is let go. A new
// message needs a row.
func TestAccess(t *testing.T) {
	const hangsUp, no = "", "refusal"
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for field := range reflect.TypeFor[message]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		row, ok := map[string]struct {
			make                func(understudy.SegmentID) message
			own, another, wrong string
		}{
			"hello": {func(understudy.SegmentID) message { return message{Hello: &hello{Version: version}} }, "welcome", "welcome", "welcome"},
			"notes": {func(id understudy.SegmentID) message {
				return message{Notes: []understudy.Note{{ID: "a", Camera: id.Camera, Server: id.Holder, From: at, To: at, Kind: understudy.NoteEvent, Name: "door"}}}
			}, "noted", "noted", no}, // a note is about a camera's time, whoever wrote it
			"offer": {func(id understudy.SegmentID) message {
				return message{Offer: &offer{object: object{Segment: id, Size: 5}, End: at}}
			}, "want", no, no},
			"confirm": {func(id understudy.SegmentID) message {
				return message{Confirm: &confirm{object: object{Segment: id, Size: 5}, End: at}}
			}, no, no, no}, // there is nothing to confirm here
			"seal":      {func(id understudy.SegmentID) message { return message{Seal: &object{Segment: id, Size: 5}} }, hangsUp, hangsUp, hangsUp},
			"welcome":   {func(understudy.SegmentID) message { return message{Welcome: &welcome{}} }, hangsUp, hangsUp, hangsUp},
			"noted":     {func(understudy.SegmentID) message { return message{Noted: &noted{}} }, hangsUp, hangsUp, hangsUp},
			"want":      {func(understudy.SegmentID) message { return message{Want: &want{}} }, hangsUp, hangsUp, hangsUp},
			"receipt":   {func(understudy.SegmentID) message { return message{Receipt: &receipt{}} }, hangsUp, hangsUp, hangsUp},
			"confirmed": {func(id understudy.SegmentID) message { return message{Confirmed: &object{Segment: id}} }, hangsUp, hangsUp, hangsUp},
			"refusal":   {func(understudy.SegmentID) message { return message{Refusal: &refusal{}} }, hangsUp, hangsUp, hangsUp},
		}[name]
		if !ok {
			t.Errorf("nobody says in the table who may send %s", name)
			continue
		}
		others := segment("lobby", 1)
		others.Holder = "fo-2"
		for _, c := range []struct {
			what string
			id   understudy.SegmentID
			want string
		}{{"its own", segment("lobby", 1), row.own}, {"another server's", others, row.another}, {"of a camera that does not belong here", segment("yard", 1), row.wrong}} {
			if got := answered(t, row.make(c.id)); got != c.want {
				t.Errorf("%s %s: answered %q, want %q", name, c.what, got, c.want)
			}
		}
	}
}

// answered returns the name of home's answer to a greeted fo-1; "" when it hangs up.
func answered(t *testing.T, m message) string {
	t.Helper()
	home := newDisk("h1")
	home.refuse = func(camera understudy.CameraID) error {
		if camera == "yard" {
			return understudy.Errorf(understudy.CodeForbidden, "camera yard belongs to rec-2")
		}
		return nil
	}
	here, there := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = (&Receiver{Self: "rec-1", Sink: home}).Receive(t.Context(), there, failoverServer)
	}()
	defer func() { here.Close(); <-ended }()
	var answer map[string]any
	for _, say := range []message{{Hello: &hello{Version: version}}, m} {
		answer = nil
		if err := wire.Write(here, say); err != nil {
			t.Fatal(err)
		}
		if wire.Read(here, maxMessage, &answer) != nil {
			return ""
		}
	}
	for name := range answer {
		return name
	}
	t.Fatal("an empty answer")
	return ""
}
