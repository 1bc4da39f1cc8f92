package main

import (
	"time"

	"understudy"
)

// of is some cameras.
func of(cameras ...understudy.CameraID) []understudy.CameraID { return cameras }

var cameraKinds = []kind{
	{
		name: "camera-restarts", does: "a camera is killed and started again at once",
		modes: hotOnly, never: true, acts: []act{strike(outage, fast+2*time.Second, of("cam1"), kill("cam1"), start("cam1"), records(rec, "cam1"))},
	},
	{
		name: "camera-away", does: "a camera is away for 5 s",
		modes: hotOnly, acts: []act{strike(outage, sick, of("cam1"), kill("cam1"), pause(5*time.Second), start("cam1"), recorded("cam1"))},
	},
	{
		name: "cameras-away", does: "all cameras are away for 5 s",
		modes: everyMode, acts: []act{strike(outage, sick, every, kill("cam1", "cam2"), pause(5*time.Second), start("cam1", "cam2"), recorded("cam1", "cam2"))},
	},
	{
		name: "camera-cable", does: "a camera's cable is out for 6 s",
		modes: hotOnly, acts: []act{strike(outage, sick, of("cam1"), pull("cam1", false), pause(6*time.Second), pull("cam1", true), recorded("cam1"))},
	},
	{
		name: "camera-freezes", does: "a camera stands still for 3 s and goes on",
		modes: hotOnly, acts: []act{strike(outage, sick, of("cam1"), hang("cam1"), pause(3*time.Second), resume("cam1"), recorded("cam1"))},
	},
	{
		name: "cameras-freeze", does: "all cameras stand still for 6 s and go on",
		modes: everyMode, acts: []act{strike(outage, sick, every, hang("cam1", "cam2"), pause(6*time.Second), resume("cam1", "cam2"), recorded("cam1", "cam2"))},
	},
	{
		name: "camera-password", does: "the site has a wrong password of a camera for 5 s",
		modes: hotOnly, acts: []act{strike(outage, 50*time.Second, of("cam1"), password("cam1", "wrong"), pause(5*time.Second), password("cam1", cameraPassword), recorded("cam1"))},
	},
	{
		name: "camera-slots", does: "the recording server loses power, and cameras that allow two sessions keep its one for 4 s",
		modes: hotOnly, sessions: 2, disks: []string{rec},
		acts: []act{powerCut()},
	},
	{
		name: "camera-dies-with-rec", does: "the recording server and a camera are killed, and the camera is back after 3 s",
		modes: everyMode, acts: []act{
			strike(takeover, fast, of("cam2"), strike(outage, sick, of("cam1"), kill(rec, "cam1"), records(fo, "cam2"), pause(3*time.Second), start("cam1"), records(fo, "cam1"))),
			backHome(),
		},
	},
	{
		name: "camera-loss-5", does: "5 % of the packets between the cameras and the recording server are lost for 8 s",
		modes: hotOnly, never: true, acts: []act{lose(rec, "cam1", 5), lose(rec, "cam2", 5), pause(8 * time.Second), mend()},
	},
}
