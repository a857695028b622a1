package deliver

import "testing"

func TestCheckOrigin(t *testing.T) {
	for text, want := range map[string]bool{
		"https://ehr.example": true, "https://ehr.example:8443": true, "http://127.0.0.1:9": true, "http://localhost:9": true, "http://[::1]:9": true,
		"http://ehr.example": false, "https://ehr.example/": false, "https://ehr.example/x": false, "https://a@ehr.example": false, "https://": false,
		"ehr.example": false, "": false, "https://ehr.example?x": false, "https://ehr.example#": false, "ftp://ehr.example": false, "http://127.0.0.1.evil.example": false,
	} {
		if got := CheckOrigin(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
