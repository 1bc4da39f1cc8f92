package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"understudy"
)

// eventWriter writes events as JSON Lines or as a table.
func eventWriter(w io.Writer, format string) (write func(understudy.Event) error, flush func() error, err error) {
	switch format {
	case "jsonl":
		encoder := json.NewEncoder(w)
		return func(e understudy.Event) error { return encoder.Encode(e) }, func() error { return nil }, nil
	case "csv":
		table := csv.NewWriter(w)
		err := table.Write([]string{"seq", "at", "kind", "actor", "from", "server", "camera", "sentence", "before", "after", "hash"})
		return func(e understudy.Event) error {
				before, after := "", ""
				for text, changes := range map[*string][]understudy.Change{&before: e.Was, &after: e.Changes} {
					if len(changes) == 0 {
						continue
					}
					line, err := json.Marshal(changes)
					if err != nil {
						return err
					}
					*text = string(line)
				}
				return table.Write([]string{strconv.FormatUint(e.Seq, 10), e.At.Format(time.RFC3339Nano), string(e.Kind), cell(e.Actor), e.From,
					string(e.Server), string(e.Camera), cell(e.Sentence), before, after, e.Hash})
			}, func() error {
				table.Flush()
				return table.Error()
			}, err
	}
	return nil, nil, understudy.Errorf(understudy.CodeInvalid, "expected the format jsonl or csv, found %q", format)
}

// cell is a text as a spreadsheet shows it: one that it would take for a formula is quoted.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
