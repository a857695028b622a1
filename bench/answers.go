package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"strings"
)

// page is what the benchmark needs of a searchset Bundle.
type page struct {
	Total int `json:"total"`
	Entry []struct {
		Resource struct {
			Type string `json:"resourceType"`
			ID   string `json:"id"`
		} `json:"resource"`
	} `json:"entry"`
}

func parsePage(data []byte) (p page) {
	json.Unmarshal(data, &p) // an unreadable page has no entries
	return p
}

// patientIn is the Patient's id in what `abaton record list --json` prints.
func patientIn(data []byte) (ids []string) {
	var list struct {
		Resources []struct{ Type, ID string }
	}
	json.Unmarshal(data, &list) // an unreadable list has none
	for _, r := range list.Resources {
		if r.Type == "Patient" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func totalIn(data []byte) int { return parsePage(data).Total }

func observationsIn(data []byte) (refs []string) {
	for _, e := range parsePage(data).Entry {
		refs = append(refs, e.Resource.Type+"/"+e.Resource.ID)
	}
	return refs
}

// readBundle reads a file, packed or not.
func readBundle(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.HasSuffix(path, ".gz") {
		return io.ReadAll(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
