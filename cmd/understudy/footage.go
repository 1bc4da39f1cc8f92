package main

import (
	"context"

	"understudy/internal/archive"
	"understudy/internal/config"
	"understudy/internal/storage"
)

// openStore opens the media database that is configured, s being what is not.
func openStore(ctx context.Context, c config.Storage, s storage.Config) (*storage.Store, error) {
	for _, f := range c.Folders {
		s.Folders = append(s.Folders, storage.FolderConfig{Dir: f.Dir, MaxBytes: int64(f.MaxSize), MinFreeBytes: int64(f.MinFree)})
	}
	s.SegmentLength, s.GiveUpUnmerged = c.Segment, c.GiveUpUnmerged
	if a := c.Archive; a.Endpoint != "" {
		bucket, err := archive.Open(archive.Config{
			Endpoint: a.Endpoint, Bucket: a.Bucket, Prefix: a.Prefix, Region: a.Region, AccessKeyFile: a.AccessKeyFile,
			SecretKeyFile: a.SecretKeyFile, CAFile: a.CAFile, BytesPerSecond: int64(a.MaxRate),
		})
		if err != nil {
			return nil, err
		}
		s.Archive = bucket
	}
	return storage.Open(ctx, s)
}
