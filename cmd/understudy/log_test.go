package main

import (
	"log/slog"
	"testing"

	"understudy"
)

func TestALogIsOfALevelAndAFormat(t *testing.T) {
	for setting, json := range map[string]bool{"info": false, "warn": false, "info json": true, "DEBUG json": true} {
		log, err := newLog(setting)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := log.Handler().(*slog.JSONHandler); ok != json {
			t.Errorf("%s: JSON is %v", setting, ok)
		}
	}
	log, err := newLog("warn")
	if err != nil || log.Enabled(t.Context(), slog.LevelInfo) || !log.Enabled(t.Context(), slog.LevelWarn) {
		t.Errorf("warn lets through what it must not, or holds back what it must: %v", err)
	}
	for _, setting := range []string{"", "loud", "info xml", "json", "info json json"} {
		if _, err := newLog(setting); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%q: %v", setting, err)
		}
	}
}
