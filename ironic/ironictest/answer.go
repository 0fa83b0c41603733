// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// object is a JSON object.
type object = map[string]any

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // a test put something into a node that JSON does not have
		status, text = http.StatusInternalServerError, []byte(`{"error_message": "`+err.Error()+`"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// clientError answers with Ironic's error document, which is JSON in a string of JSON
// (ironic/api/method.py: format_exception, ironic/api/middleware/parsable_error.py).
func clientError(w http.ResponseWriter, status int, text string) {
	wrapped(w, status, object{"faultcode": "Client", "faultstring": text, "debuginfo": nil})
}

// abort answers with the document of errors that come from the framework beneath Ironic.
func abort(w http.ResponseWriter, status int, text string) {
	wrapped(w, status, object{"code": status, "title": http.StatusText(status), "description": text})
}

// tooOld refuses what newer microversions have.
func tooOld(w http.ResponseWriter, since int) {
	clientError(w, http.StatusNotAcceptable, "Request not acceptable. The minimal required API version should be 1."+strconv.Itoa(since))
}

func wrapped(w http.ResponseWriter, status int, document object) {
	inner, _ := json.Marshal(document) // strings and numbers only
	writeJSON(w, status, object{"error_message": string(inner)})
}

func notFound(w http.ResponseWriter) {
	clientError(w, http.StatusNotFound, "Resource could not be found.")
}
