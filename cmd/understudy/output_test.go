package main

import (
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

func TestAMomentIsWrittenInSeveralWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		today := func(hour, minute, second int) time.Time {
			return time.Date(now.Year(), now.Month(), now.Day(), hour, minute, second, 0, time.Local)
		}
		for text, want := range map[string]time.Time{
			"2026-11-23T14:05:00.25Z":   time.Date(2026, 11, 23, 14, 5, 0, 250e6, time.UTC),
			"2026-11-23T14:05:00+02:00": time.Date(2026, 11, 23, 12, 5, 0, 0, time.UTC),
			"2026-11-23":                time.Date(2026, 11, 23, 0, 0, 0, 0, time.Local),
			"14:05":                     today(14, 5, 0),
			"14:05:06":                  today(14, 5, 6),
			"36h":                       now.Add(-36 * time.Hour),
			"-10m":                      now.Add(-10 * time.Minute),
		} {
			var at time.Time
			if err := (*timeFlag)(&at).Set(text); err != nil || !at.Equal(want) {
				t.Errorf("%s is %v, want %v: %v", text, at, want, err)
			}
		}
		for _, text := range []string{"", "yesterday", "2026-13-01", "25:00", "10"} {
			at := now
			if err := (*timeFlag)(&at).Set(text); understudy.CodeOf(err) != understudy.CodeInvalid || !at.Equal(now) {
				t.Errorf("%q: %v, %v", text, at, err)
			}
		}
	})
}
