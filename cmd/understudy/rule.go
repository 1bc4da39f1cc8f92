package main

import (
	"github.com/spf13/cobra"

	"understudy"
)

// ruleFlags adds what says when a camera is recorded; take sets what was given.
func ruleFlags(c *cobra.Command) (takeRule func(*understudy.Camera)) {
	var (
		rule understudy.RecordingRule
		keep understudy.Camera
	)
	f := c.Flags()
	f.StringVar((*string)(&rule.Mode), "mode", "continuous", "continuous, events (only around events) or both (always, footage of events kept longer)")
	f.DurationVar(&rule.Before, "before", 0, "record so much before an event, at most 5m")
	f.DurationVar(&rule.After, "after", 0, "record so much after an event, at most 1h")
	f.StringVar(&rule.Schedule, "schedule", "", "weekly windows that are events, such as \"night=mon-fri 22:00-06:00 Europe/Vienna\", separated by ;")
	f.StringVar(&rule.Events, "events", "", "names of the events that count, separated by commas; empty is all")
	f.DurationVar(&keep.KeepFor, "keep", 0, "delete recordings at this age, such as 720h; 0 keeps them while there is room")
	f.DurationVar(&rule.KeepEvents, "keep-events", 0, "delete footage of events at this age; 0 is as --keep")
	f.Var((*sizeFlag)(&rule.KeepBytes), "keep-size", "keep at most so much of the camera, such as 200GB; 0 is no bound")
	f.DurationVar(&rule.ArchiveAfter, "archive-after", 0, "move footage to the archive at this age; 0 never")
	return func(camera *understudy.Camera) {
		given := f.Changed
		take(given("mode"), &camera.Rule.Mode, rule.Mode)
		take(given("before"), &camera.Rule.Before, rule.Before)
		take(given("after"), &camera.Rule.After, rule.After)
		take(given("schedule"), &camera.Rule.Schedule, rule.Schedule)
		take(given("events"), &camera.Rule.Events, rule.Events)
		take(given("keep"), &camera.KeepFor, keep.KeepFor)
		take(given("keep-events"), &camera.Rule.KeepEvents, rule.KeepEvents)
		take(given("keep-size"), &camera.Rule.KeepBytes, rule.KeepBytes)
		take(given("archive-after"), &camera.Rule.ArchiveAfter, rule.ArchiveAfter)
	}
}
