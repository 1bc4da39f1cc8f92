package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/site"
)

func demoCommand() *cobra.Command {
	var cameras []string
	var dir string
	c := &cobra.Command{
		Use:   "demo",
		Short: "A whole site on this machine: cameras, servers, page; kill a server and watch",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			layout, err := demoLayout(cameras)
			if err != nil {
				return err
			}
			if dir == "" {
				if dir, err = os.MkdirTemp("", "understudy-demo-"); err != nil {
					return understudy.Errorf(understudy.CodeUnavailable, "there is no room for the demo: %w", err)
				}
				defer func() { _ = os.RemoveAll(dir) }() // the system clears temporary folders
			}
			return demo(cmd, dir, layout)
		},
	}
	c.Flags().StringArrayVar(&cameras, "camera", nil, "NAME=rtsp://[USER:PASSWORD@]HOST/PATH of a real camera, instead of the test cameras; as often as there are cameras")
	c.Flags().StringVar(&dir, "dir", "", "keep the site in this folder, to look at afterwards; a temporary one unless given")
	return c
}

func demo(cmd *cobra.Command, dir string, layout site.Layout) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	out := cmd.OutOrStdout()
	if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
		return understudy.Errorf(understudy.CodeInvalid, "%s is not empty; a demo makes a site of its own: name a new folder with --dir", dir)
	}
	// Not in the site's folder: the path of a socket may have 107 bytes.
	control, err := os.MkdirTemp("", "understudy-control-")
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "there is no room for the demo's control: %w", err)
	}
	defer func() { _ = os.RemoveAll(control) }() // the system clears temporary folders
	socket := filepath.Join(control, "socket")
	listener, err := site.ListenControl(ctx, socket)
	if err != nil {
		return err
	}
	var up *site.Site
	ready := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return site.Control(ctx, listener, func() *site.Site { <-ready; return up })
	})
	up, err = site.Up(ctx, site.Options{
		Dir: dir, Layout: layout, Network: "127.0.0.", Ports: [2]int{understudy.PortHTTP, understudy.PortHTTPS},
		Demo: socket, Plain: true, Say: func(s string) { fmt.Fprintln(out, " ", s) },
	})
	if err != nil {
		cancel()
		return errors.Join(err, g.Wait())
	}
	close(ready)
	defer up.Down()
	fmt.Fprintf(out, "\n  The page      %s\n  Sign in       %s / %s\n  Trust it      %s  (import it into the browser, or accept the warning)\n\n",
		up.URL, up.User, string(up.Password), filepath.Join(dir, site.Management, "ca.pem"))
	for _, r := range layout.Recording {
		p, _ := up.Process(string(r.ID))
		fmt.Fprintf(out, "  Kill %s     kill -9 %d     or press the button on the page\n", r.ID, p.PID())
	}
	fmt.Fprintf(out, "  Logs          %s\n\n  Ctrl-C ends everything.\n", filepath.Join(dir, "logs"))
	return g.Wait()
}

// demoLayout is two recording servers, one with a hot standby of its own that
// mirrors one of its cameras, the other with a failover group of one.
func demoLayout(cameras []string) (site.Layout, error) {
	layout := site.Layout{
		Recording: []understudy.RecordingServer{
			{ID: "rec1", Name: "Recording server 1", HotStandby: "fo1"},
			{ID: "rec2", Name: "Recording server 2", PrimaryGroup: "spares"},
		},
		Failover: []understudy.FailoverServer{{ID: "fo1", Name: "Hot standby"}, {ID: "fo2", Name: "Spare"}},
		Groups:   []understudy.FailoverGroup{{ID: "spares", Name: "Spares", Members: []understudy.ServerID{"fo2"}}},
	}
	if len(cameras) == 0 {
		layout.Cameras = []understudy.Camera{
			{ID: "plaza-north", Name: "Plaza, north", Home: "rec1"}, {ID: "plaza-south", Name: "Plaza, south, mirrored", Home: "rec1", Mirror: "fo1"},
			{ID: "plaza-east", Name: "Plaza, east", Home: "rec2"}, {ID: "plaza-west", Name: "Plaza, west", Home: "rec2"},
		}
		return layout, nil
	}
	err := layout.AddCameras(cameras, "rec1", "rec2")
	return layout, err
}
