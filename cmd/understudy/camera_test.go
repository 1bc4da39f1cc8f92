package main

import (
	"testing"

	"understudy"
)

func TestACameraKeepsWhatIsNotGiven(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	m.withCameras(t, "rec1", "lobby")
	camera := read[understudy.Camera](t, "", "camera", "put", "lobby", "--priority", "3", "--keep-days", "30")
	camera.Name = "Lobby"
	same(t, "a camera", read[understudy.Camera](t, "", "camera", "put", "lobby", "--name", "Lobby"), camera)
}
