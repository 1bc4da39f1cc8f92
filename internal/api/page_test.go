package api

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"testing"
	"testing/fstest"
)

// A browser that keeps the page is told of all its files, and of another version when any of them changes.
func TestThePageIsListed(t *testing.T) {
	page := func(files ...string) fs.FS {
		page := fstest.MapFS{"index.html": {Data: []byte("<!doctype html>page")}}
		for i := 0; i < len(files); i += 2 {
			page[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return page
	}
	versions := map[string]bool{}
	for _, p := range []fs.FS{page(), page("js/main.js", "run();"), page("js/main.js", "walk();"), page("js/main.mjs", "walk();")} {
		c, err := contentsOf(p)
		check(t, err)
		versions[c.Version] = true
	}
	if len(versions) != 4 {
		t.Errorf("four pages have the versions %v", versions)
	}

	s := newSite(t)
	response, body := get(t, s.userClient().HTTP(""), http.MethodGet, "https://"+s.address+"/files.json", nil)
	var told contents
	check(t, json.Unmarshal([]byte(body), &told))
	if want, _ := contentsOf(s.config.Web); response.StatusCode != http.StatusOK || told.Version != want.Version || !slices.Equal(told.Files, []string{"/"}) {
		t.Errorf("the page is listed as %s %s", response.Status, body)
	}
}
