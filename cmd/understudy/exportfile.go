package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"understudy"
	"understudy/client"
	"understudy/internal/fmp4"
)

// finish gives an export its name, in the format that was asked for.
func finish(file *os.File, part, output string, format fmp4.Format) error {
	failed := func(err error) error {
		return understudy.Errorf(understudy.CodeUnavailable, "the export is whole in %s, and could not be finished as %s: %w", part, output, err)
	}
	if format == fmp4.Faststart {
		plain, err := os.OpenFile(output+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return failed(err)
		}
		defer plain.Close()
		if err := client.Faststart(file, plain); err != nil {
			_ = os.Remove(plain.Name())
			return failed(err)
		}
		if err := plain.Close(); err != nil {
			return failed(err)
		}
		if err := os.Rename(plain.Name(), output); err != nil {
			return failed(err)
		}
		return os.Remove(part)
	}
	if err := file.Close(); err != nil {
		return failed(err)
	}
	if err := os.Rename(part, output); err != nil {
		return failed(err)
	}
	return nil
}

// tellExport says what is in the file and, plainly, what is not.
func tellExport(w io.Writer, output string, s span, result client.ExportResult) {
	if result.Resumed {
		fmt.Fprintf(w, "%s: %d bytes\n", output, result.Bytes)
		return
	}
	gaps := understudy.Gaps(result.Pieces, s.from, s.to, noticeableGap)
	holders := map[understudy.ServerID]bool{}
	for _, piece := range result.Pieces {
		holders[piece.Segment.Holder] = true
	}
	names := make([]string, 0, len(holders))
	for holder := range holders {
		names = append(names, string(holder))
	}
	fmt.Fprintf(w, "%s: recorded by %s, %d gaps\n", output, strings.Join(names, " and "), len(gaps))
	for _, gap := range gaps {
		fmt.Fprintf(w, "  nothing from %s to %s\n", gap.From.Local().Format("15:04:05.0"), gap.To.Local().Format("15:04:05.0"))
	}
	for _, piece := range result.Skipped {
		fmt.Fprintf(w, "  from %s to %s could not be fetched from %s: export again\n",
			piece.From.Local().Format("15:04:05.0"), piece.To.Local().Format("15:04:05.0"), piece.Segment.Holder)
	}
	for _, server := range result.Missing {
		fmt.Fprintf(w, "  %s did not answer; what it holds is not in the file: export again when it is back\n", server)
	}
}
