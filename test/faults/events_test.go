package faults_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"understudy"
	"understudy/internal/site"
)

// A camera that is recorded on events keeps what came before them, at home and
// on the server that stands in; an event that comes while nobody records is
// applied by the one that takes over; footage and marks come home.
func TestEventsAreRecordedThroughATakeover(t *testing.T) {
	layout := hot("north")
	layout.Cameras[0].Rule = understudy.RecordingRule{Mode: understudy.RecordEvents, Before: 3 * time.Second, After: 2 * time.Second}
	b := up(t, layout, nil)

	quiet := b.happens("before", 0)
	b.covers(10*time.Second, "rec1", quiet.At.Add(-3*time.Second), quiet.At.Add(2*time.Second))
	if first := b.first("rec1"); quiet.At.Sub(first) > 20*time.Second {
		t.Errorf("footage begins at %s, long before what event of %s needs", first, quiet.At)
	}
	b.within(20*time.Second, "rec1 to wait for the next event", func(ctx context.Context) bool { return b.waits(ctx, "rec1", "north") })

	b.do(site.FaultKill, "rec1")
	between := b.happens("between", 8*time.Second) // nobody records now, or knows that
	b.holds(5*time.Second, "fo1", 1)
	b.within(10*time.Second, "fo1 to record the event that came before it took over", func(ctx context.Context) bool {
		return b.recorded(ctx, "fo1", "north") > time.Second
	})
	b.covers(30*time.Second, "fo1", between.Until.Add(-time.Second), between.Until.Add(2*time.Second))
	b.within(20*time.Second, "fo1 to wait for the next event", func(ctx context.Context) bool { return b.waits(ctx, "fo1", "north") })
	later := b.happens("later", 0)
	b.covers(10*time.Second, "fo1", later.At.Add(-3*time.Second), later.At.Add(2*time.Second))

	b.do(site.CureStart, "rec1")
	b.holds(30*time.Second, "rec1", 1)
	b.emptied(60*time.Second, "fo1")
	b.covers(10*time.Second, "rec1", later.At.Add(-3*time.Second), later.At.Add(2*time.Second))
	b.within(20*time.Second, "the marks of all events to be at home", func(context.Context) bool {
		notes := b.notes("rec1", "north")
		return bytes.Contains(notes, []byte(quiet.ID)) && bytes.Contains(notes, []byte(between.ID)) && bytes.Contains(notes, []byte(later.ID))
	})
	if t.Failed() {
		t.Log(b.story())
	}
}

// Events reach the server that records without the management server: over the
// media port, and from a broker.
func TestEventsComeWithoutTheManagementServer(t *testing.T) {
	broker := mosquitto(t)
	layout := hot("north")
	layout.Cameras[0].Rule = understudy.RecordingRule{Mode: understudy.RecordEvents, Before: 2 * time.Second, After: time.Second}
	b := upWith(t, layout, nil, map[string]any{"mqtt": map[string]any{
		"url": "mqtt://" + broker, "topics": []map[string]string{{"topic": "doors/+/forced", "camera": "{1}", "name": "door forced"}}}})
	if _, err := b.Client.MediaToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.do(site.FaultKill, site.Management)
	told := b.happens("by 7563", 0)
	b.covers(10*time.Second, "rec1", told.At.Add(-2*time.Second), told.At.Add(time.Second))
	b.within(20*time.Second, "rec1 to be idle", func(ctx context.Context) bool { return time.Since(b.newest(ctx, "rec1", "north")) > 3*time.Second })
	var at time.Time
	b.within(20*time.Second, "rec1 to record an event of the broker", func(ctx context.Context) bool {
		if at.IsZero() {
			at = time.Now()
			publish(t, broker, "doors/north/forced", `{"id":"by-mqtt","data":{"door":7}}`)
		}
		return b.newest(ctx, "rec1", "north").After(at)
	})
	b.covers(10*time.Second, "rec1", at.Add(-2*time.Second), at.Add(time.Second))
	b.within(10*time.Second, "both marks to be there", func(context.Context) bool {
		notes := b.notes("rec1", "north")
		return bytes.Contains(notes, []byte(told.ID)) && bytes.Contains(notes, []byte("by-mqtt"))
	})
}

// mosquitto runs a broker and returns its address.
func mosquitto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/mosquitto")
	if err != nil {
		t.Skip("mosquitto is not installed")
	}
	host := ownNetwork(t) + "1"
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(config, []byte("persistence false\nallow_anonymous true\nuser root\nlistener 1883 "+host+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "-c", config)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may be gone
		_ = command.Wait()
	})
	return net.JoinHostPort(host, "1883")
}

func publish(t *testing.T, broker, topic, payload string) {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer client.Disconnect(100)
	if token := client.Publish(topic, 1, false, payload); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// waits reports whether a server was last seen waiting for an event of a camera.
func (b *broken) waits(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) bool {
	all, err := b.Client.Status(ctx)
	if err != nil {
		return false
	}
	for _, status := range all {
		if status.Server != server || !status.Reachable || status.State == nil {
			continue
		}
		for _, c := range status.State.Cameras {
			if c.Camera == camera && c.Waiting {
				return true
			}
		}
	}
	return false
}

// happens tells the management server of an event of now.
func (b *broken) happens(name string, length time.Duration) understudy.Trigger {
	b.Helper()
	now := time.Now()
	told, err := b.Client.Trigger(b.Context(), understudy.Trigger{Camera: "north", Name: name, At: now, Until: now.Add(length)})
	if err != nil {
		b.Fatal(err)
	}
	return told
}

// covers waits until a server has footage of north from a time to another without a hole.
func (b *broken) covers(limit time.Duration, server understudy.ServerID, from, to time.Time) {
	b.Helper()
	b.within(limit, string(server)+" to have all of "+from.Format("15:04:05.000")+" to "+to.Format("15:04:05.000"), func(ctx context.Context) bool {
		segments, err := b.Client.Segments(ctx, server, "north", from, to, false)
		if err != nil {
			return false
		}
		pieces := make([]understudy.Piece, len(segments))
		for i, s := range segments {
			pieces[i] = understudy.Piece{From: s.Start, To: s.End}
		}
		return len(understudy.Gaps(pieces, from, to, 200*time.Millisecond)) == 0
	})
}

// first is when the oldest footage of north on a server begins.
func (b *broken) first(server understudy.ServerID) (first time.Time) {
	b.Helper()
	segments, err := b.Client.Segments(b.Context(), server, "north", time.Now().Add(-time.Hour), time.Now(), false)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range segments {
		if first.IsZero() || s.Start.Before(first) {
			first = s.Start
		}
	}
	return first
}

// notes are the notes of a camera as they lie on a server's disk.
func (b *broken) notes(server understudy.ServerID, camera string) []byte {
	content, err := os.ReadFile(filepath.Join(b.Folder(string(server)), "footage", "cameras", camera, "notes"))
	if err != nil {
		return nil
	}
	return content
}
