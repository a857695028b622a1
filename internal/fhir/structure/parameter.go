package structure

// A Parameter is a search parameter of the definitions.
type Parameter struct {
	URL   string   `json:"u"`
	Code  string   `json:"c"`
	Type  string   `json:"t"`
	Bases []string `json:"b"`
}

// Parameter is a search parameter by its URL, nil if it is not one of the
// definitions.
func (s *Set) Parameter(url string) *Parameter { return s.parameters[url] }
