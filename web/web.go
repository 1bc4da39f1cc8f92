// Package web is the page of the management server: plain JavaScript modules,
// without a build step, embedded.
package web

import (
	"embed"
	"io/fs"
)

//go:embed page
var embedded embed.FS

// Files is the page, with index.html at its top.
var Files = func() fs.FS {
	page, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // the folder is named in the line above
	}
	return page
}()
