package storage

import (
	"log/slog"
	"os"

	"understudy"
)

// FillIndex writes the index of segments of one camera as the store does when
// they are closed, without any footage: for measurements of an index that would
// take months to record. dir is a folder of a store that nobody has open, and
// may be read only, for what has no footage goes from the index when the store runs.
func FillIndex(dir string, segments []understudy.Segment) error {
	f := (&Store{log: slog.New(slog.DiscardHandler)}).newFolder(FolderConfig{Dir: dir})
	days := map[dayKey]*day{}
	for _, segment := range segments {
		e := &entry{Segment: segment, folder: f, last: understudy.Watermark{At: segment.End}}
		e.Closed = true
		key := keyOf(f, e)
		d := days[key]
		if d == nil {
			d = &day{dayKey: key, camera: segment.ID.Camera, open: map[uint64]begun{}}
			days[key] = d
		}
		d.apply(recordClosed, e, 0)
	}
	for _, d := range days {
		if err := f.fs.MkdirAll(cameraIndexDir(d.camera)); err != nil {
			return f.explain(err)
		}
		file, err := f.fs.OpenFile(d.path(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return f.explain(err)
		}
		defer file.Close()
		if _, err := file.Write(d.encode()); err != nil {
			return f.explain(err)
		}
	}
	return nil
}
