package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func cameraCommand() *cobra.Command {
	c := &cobra.Command{Use: "camera", Short: "List, add, change and remove cameras"}
	c.AddCommand(cameraListCommand(), cameraPutCommand(), cameraImportCommand(), cameraRemoveCommand())
	return c
}

func cameraListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the cameras", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		cameras, err := site.Cameras(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), cameras)
		}
		var rows [][]string
		for _, camera := range cameras {
			rows = append(rows, []string{string(camera.ID), camera.Name, string(camera.Home), string(camera.Failover), fmt.Sprint(camera.Priority), camera.URL})
		}
		return table(cmd.OutOrStdout(), "CAMERA\tNAME\tHOME\tFAILOVER\tPRIORITY\tURL", rows)
	}
	return c
}

func cameraPutCommand() *cobra.Command {
	var (
		camera      understudy.Camera
		askPassword bool
		keepDays    float64
		takeRule    func(*understudy.Camera)
	)
	c := &cobra.Command{
		Use:     "put ID",
		Aliases: []string{"add", "edit"},
		Short:   "Add a camera, or change the settings that are given",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			id := understudy.CameraID(args[0])
			now, err := site.Camera(cmd.Context(), id)
			if err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
				return err
			}
			now.ID = id
			given := cmd.Flags().Changed
			take(given("name"), &now.Name, camera.Name)
			take(given("home"), &now.Home, camera.Home)
			take(given("url"), &now.URL, camera.URL)
			take(given("sub"), &now.Sub, camera.Sub)
			take(given("transport"), &now.Transport, camera.Transport)
			take(given("user"), &now.Username, camera.Username)
			take(given("failover"), &now.Failover, camera.Failover)
			take(given("priority"), &now.Priority, camera.Priority)
			take(given("mirror"), &now.Mirror, camera.Mirror)
			take(given("sessions"), &now.Sessions, camera.Sessions)
			take(given("keep-days"), &now.KeepFor, time.Duration(keepDays*24*float64(time.Hour)))
			takeRule(&now)
			var password *understudy.Secret
			if askPassword {
				secret, err := readPassword(cmd, "Password on the camera: ")
				if err != nil {
					return err
				}
				password = &secret
			}
			now, err = site.PutCamera(cmd.Context(), now, password)
			return changed(cmd, now, err)
		},
	}
	jsonFlag(c)
	takeRule = ruleFlags(c)
	f := c.Flags()
	f.StringVar(&camera.Name, "name", "", "name for people")
	f.StringVar((*string)(&camera.Home), "home", "", "recording server that the camera belongs to")
	f.StringVar(&camera.URL, "url", "", "rtsp://host[:port]/path, without credentials")
	f.StringVar(&camera.Sub, "sub", "", "rtsp address of a second stream with fewer bits, for a failover server that is short of capacity")
	f.StringVar((*string)(&camera.Transport), "transport", "tcp", "tcp or udp")
	f.StringVar(&camera.Username, "user", "", "user name on the camera")
	f.BoolVar(&askPassword, "password", false, "ask for the password on the camera (or read it from standard input)")
	f.StringVar((*string)(&camera.Failover), "failover", "full", "full, live or none: what a failover server does for it")
	f.IntVar(&camera.Priority, "priority", 0, "higher is served first when capacity is short")
	f.StringVar((*string)(&camera.Mirror), "mirror", "", "failover server that mirrors it: keeps its stream open and loses no frame; empty is as its home says")
	f.IntVar(&camera.Sessions, "sessions", 0, "sessions that the camera allows at a time; 0 is unknown")
	f.Float64Var(&keepDays, "keep-days", 0, "delete recordings after so many days; 0 keeps them while there is room")
	return c
}

// take sets a setting that was given on the command line.
func take[T any](given bool, into *T, value T) {
	if given {
		*into = value
	}
}

func cameraRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a camera; its footage stays until retention takes it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteCamera(cmd.Context(), understudy.CameraID(args[0]))
		},
	}
}
