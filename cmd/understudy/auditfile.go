package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"understudy"
	"understudy/client"
)

// maxExportLine bounds one event of an export.
const maxExportLine = 16 << 20

// verifyExport compares a file of `audit export` with the log: what it has must be there, as it
// is in the file, unless the log has forgotten it in its own time.
func verifyExport(ctx context.Context, w io.Writer, site *client.Client, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the export could not be opened: %w", err)
	}
	defer file.Close()
	hashes, first, err := readExport(file)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "%s is not a file of `understudy audit export`: %w", path, err)
	}
	oldest, last, compared, differ := uint64(0), first-1, 0, 0
	for {
		events, err := site.Events(ctx, understudy.EventQuery{After: last, Limit: 1000})
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		if oldest == 0 {
			oldest = events[0].Seq
		}
		for _, e := range events {
			hash, exported := hashes[e.Seq]
			if !exported {
				continue
			}
			if delete(hashes, e.Seq); hash != e.Hash {
				differ++
				fmt.Fprintf(w, "%6d  event %d is another one than in %s\n", e.Seq, e.Seq, path)
				continue
			}
			compared++
		}
		last = events[len(events)-1].Seq
	}
	forgotten := 0
	for seq := range hashes {
		if seq < oldest {
			forgotten++
		}
	}
	missing := len(hashes) - forgotten
	fmt.Fprintf(w, "%d events of %s are in the log as they are there; %d are older than the log\n", compared, path, forgotten)
	if missing+differ > 0 {
		return understudy.Errorf(understudy.CodeConflict, "%d events of %s are missing in the log, and %d are other ones", missing, path, differ)
	}
	return nil
}

// readExport returns the hash of each event, by its number, and the lowest number.
func readExport(r io.Reader) (hashes map[uint64]string, first uint64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxExportLine)
	hashes, first = map[uint64]string{}, math.MaxUint64
	for lines.Scan() {
		var e struct {
			Seq  uint64 `json:"seq"`
			Hash string `json:"hash"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Seq == 0 {
			return nil, 0, understudy.Errorf(understudy.CodeInvalid, "line %d is no event as JSON (export as jsonl, not csv)", len(hashes)+1)
		}
		hashes[e.Seq], first = e.Hash, min(first, e.Seq)
	}
	if err := lines.Err(); err != nil {
		return nil, 0, err
	}
	if len(hashes) == 0 {
		return nil, 0, understudy.Errorf(understudy.CodeInvalid, "it holds no event")
	}
	return hashes, first, nil
}
