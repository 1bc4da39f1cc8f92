package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"understudy"
)

// TestStory signs in, joins servers, adds cameras, claims, and follows the
// channel, all over real connections.
func TestStory(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	ctx := t.Context()
	_, rec := s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:7563")
	_, fo := s.join(admin, understudy.RoleFailover, "fo-1", "127.0.0.1:7564")
	_, err := admin.PutRecordingServer(ctx, understudy.RecordingServer{
		ID: "rec-1", Name: "Recording 1", HotStandby: "fo-1",
		Addresses: understudy.Addresses{Media: "127.0.0.1:7563", State: "127.0.0.1:11000", Merge: "127.0.0.1:5210"},
	})
	check(t, err)
	secret := understudy.Secret("camera password")
	_, err = admin.PutCamera(ctx, understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://10.0.0.8/1", Username: "root"}, &secret)
	check(t, err)

	viewer := s.user(admin, "vera", understudy.RoleViewer, "lobby")
	updates := make(chan understudy.Update, 64)
	following, stop := context.WithCancel(ctx)
	defer stop()
	followed := make(chan error, 1)
	go func() {
		followed <- viewer.Follow(following, understudy.Cursor{}, func(u understudy.Update) error { updates <- u; return nil })
	}()
	if first := <-updates; first.Site == nil || len(first.Site.Cameras) != 1 || first.Cursor.Stream == "" {
		t.Fatalf("the first update must be the site with its camera, is %+v", first)
	}

	assignment, err := rec.Assignment(ctx, "rec-1")
	check(t, err)
	if len(assignment.Cameras) != 1 || assignment.Cameras[0].Credentials.Password != secret || assignment.Cameras[0].Epoch != 1 {
		t.Fatalf("the recording server needs its camera with its password and epoch 1, got %+v", assignment)
	}
	answer, err := fo.Claim(ctx, understudy.Claim{
		ID: "claim-0001", Claimant: "fo-1", Home: "rec-1", Kind: understudy.ClaimTakeover,
		Cameras: []understudy.CameraEpoch{{Camera: "lobby", Epoch: 1}}, Sentence: "rec-1 refused three connections.",
	})
	check(t, err)
	if len(answer.Granted) != 1 || answer.Granted[0].Epoch != 2 || len(answer.Assignment.Cameras) != 1 {
		t.Fatalf("the claim must be granted with epoch 2 and an assignment, got %+v", answer)
	}
	for u := range updates {
		if u.Event != nil && u.Event.Kind == understudy.EventTakeover {
			if u.Event.Changes[0].Lease.Holder != "fo-1" {
				t.Fatalf("the takeover must tell the new holder, tells %+v", u.Event)
			}
			break
		}
	}
	stop()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow must end with its context, ended with %v", err)
	}
	events, err := admin.Events(ctx, understudy.EventQuery{Kind: understudy.EventTakeover})
	check(t, err)
	if len(events) != 1 || !strings.Contains(events[0].Sentence, "rec-1") || events[0].Actor != "server:fo-1" {
		t.Fatalf("the log must have the takeover and who did it, has %+v", events)
	}
}

// A server that was removed from the site keeps its certificate until it
// expires, and gets no other.
func TestARemovedServerIsNotRenewed(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	node, rec := s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:7563")
	renew := func() error {
		csr, err := node.RenewalRequest()
		check(t, err)
		_, err = rec.Renew(t.Context(), "rec-1", understudy.JoinRequest{Request: string(csr), Hosts: []string{"127.0.0.1"}})
		return err
	}
	check(t, renew())
	check(t, admin.DeleteServer(t.Context(), "rec-1"))
	if err := renew(); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("a removed server's renewal: %v, want CodeForbidden", err)
	}
}
