package main

import (
	"log/slog"
	"os"
	"strings"

	"understudy"
)

// newLog returns a log of one line an entry on standard error: as KEY=VALUE or,
// when the setting is a level and json, as a JSON object.
func newLog(setting string) (*slog.Logger, error) {
	level, format, _ := strings.Cut(setting, " ")
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil || format != "" && format != "json" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "log is debug, info, warn or error, or one of these and json, such as `info json`; found %.40q", setting)
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
}
