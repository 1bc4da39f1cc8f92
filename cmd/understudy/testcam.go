package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/site"
	"understudy/internal/testcam"
)

// maxTestCameras is more than a machine can serve.
const maxTestCameras = 1000

func testcamCommand() *cobra.Command {
	var (
		listen, control, file, sub, user, password, misbehave string
		count, sessions                                       int
		gop, expiry                                           time.Duration
		noStamps, keyOnPlay                                   bool
	)
	c := &cobra.Command{
		Use:   "testcam",
		Short: "Serve test cameras made of a file, each frame stamped with a counter",
		Long: "Serves cameras named cam1, cam2, ... over RTSP, in real time, looping a file (the embedded clip of a\n" +
			"campus square unless --file names another). Each access unit carries camera, frame counter and capture\n" +
			"time, so that a drill can tell which frames were lost.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog("info")
			if err != nil {
				return err
			}
			if count < 1 || count > maxTestCameras {
				return understudy.Errorf(understudy.CodeInvalid, "there are 1 to %d test cameras in a process, found %d", maxTestCameras, count)
			}
			config := testcam.Config{Listen: listen, Log: log}
			for i := range count {
				name := fmt.Sprintf("cam%d", i+1)
				config.Cameras = append(config.Cameras, testcam.Camera{
					Name: name, File: file, GOP: gop, Username: user, Password: password,
					MaxSessions: sessions, SessionExpiry: expiry, KeyOnPlay: keyOnPlay, Misbehave: testcam.Misbehaviour(misbehave), NoStamps: noStamps,
				})
				if sub != "" {
					config.Cameras = append(config.Cameras, testcam.Camera{
						Name: name + "-sub", Of: name, File: sub, Username: user, Password: password, KeyOnPlay: keyOnPlay, NoStamps: noStamps})
				}
			}
			cameras, err := testcam.New(config)
			if err != nil {
				return err
			}
			for _, camera := range config.Cameras {
				fmt.Fprintln(cmd.OutOrStdout(), cameras.URL(camera.Name))
			}
			return serveCameras(cmd.Context(), cameras, control)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8554", "host:port of the RTSP server; port 0 takes a free one")
	f.StringVar(&control, "control", "", "path of a Unix socket that takes PUT /refusal {\"agent\", \"cameras\"}: clients that cameras turn away")
	f.IntVar(&count, "cameras", 1, "how many cameras")
	f.StringVar(&file, "file", "", "MP4 with H.264, H.265 or Motion JPEG; the embedded clip unless given")
	f.StringVar(&sub, "sub-file", "", "MP4 of a second profile of each camera, cam1-sub, cam2-sub, ..., whose sessions are not limited")
	f.DurationVar(&gop, "gop", 0, "play faster or slower so that a GOP lasts this long")
	f.StringVar(&user, "user", "", "ask for this user name (digest authentication)")
	f.StringVar(&password, "password", "", "and this password")
	f.IntVar(&sessions, "max-sessions", 0, "answer 453 to further sessions; 0 is no limit")
	f.DurationVar(&expiry, "session-expiry", 0, "keep the slot of a session whose connection was lost")
	f.BoolVar(&keyOnPlay, "key-on-play", false, "send a key frame as soon as a session begins to play")
	f.StringVar(&misbehave, "misbehave", "", "freeze, garbage-sdp, garbage-packets, not-found or busy")
	f.BoolVar(&noStamps, "no-stamps", false, "leave the file's bytes as they are")
	return c
}

// serveCameras serves cameras, and who is to be turned away on the socket, if one is given.
func serveCameras(ctx context.Context, cameras *testcam.Cameras, socket string) error {
	if socket == "" {
		return cameras.Run(ctx)
	}
	listener, err := site.ListenControl(ctx, socket)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cameras.Run(ctx) })
	group.Go(func() error { return cameras.Control(ctx, listener) })
	return group.Wait()
}
