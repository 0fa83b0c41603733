// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object whose values are decoded when they are asked for: most of what a node holds never is. Its names
// are exact, as in Ironic; decoding into a struct would also take Deploy_Kernel for deploy_kernel, and anybody who
// may edit a node may put both into its driver_info.
type object map[string]json.RawMessage

// unusable says why no fact can be taken from an answer; reason is a code of Error.Reason. Its text names fields and never
// their values.
type unusable struct{ reason, text string }

func (e *unusable) Error() string { return e.text }

var errNotJSON = &unusable{"bad_json", "the answer is not JSON"}

func wrongType(field, want string) error {
	return &unusable{"wrong_type", field + " is not " + want}
}

func parseObject(body []byte) (object, error) {
	if !json.Valid(body) {
		return nil, errNotJSON
	}
	return objectIn("the answer", body)
}

func objectIn(field string, raw json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return nil, wrongType(field, "an object")
	}
	return o, nil
}

// absent treats null like nothing, as Ironic does in every field that a script depends on.
func (o object) absent(name string) bool {
	raw, ok := o[name]
	return !ok || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// object returns the object under a name; one that is absent is empty.
func (o object) object(name string) (object, error) {
	if o.absent(name) {
		return nil, nil
	}
	return objectIn(name, o[name])
}

// objects returns the list under a name, which must be there.
func (o object) objects(name string) ([]object, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(o[name], &list); err != nil || list == nil {
		return nil, wrongType(name, "a list")
	}
	objects := make([]object, len(list))
	for i, raw := range list {
		var err error
		if objects[i], err = objectIn(fmt.Sprintf("%s[%d]", name, i), raw); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// text returns the string under a name; one that is absent is empty.
func (o object) text(name string) (string, error) {
	if o.absent(name) {
		return "", nil
	}
	return textIn(name, o[name])
}

func textIn(field string, raw json.RawMessage) (string, error) {
	// json.Unmarshal leaves a string alone when the value is null.
	if first := bytes.TrimSpace(raw); len(first) == 0 || first[0] != '"' {
		return "", wrongType(field, "a string")
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", wrongType(field, "a string")
	}
	return s, nil
}

// flag returns the boolean under a name; one that is absent is false.
func (o object) flag(name string) (bool, error) {
	if o.absent(name) {
		return false, nil
	}
	var b bool
	if err := json.Unmarshal(o[name], &b); err != nil {
		return false, wrongType(name, "true or false")
	}
	return b, nil
}

// texts returns the strings under a name: a list of strings, or a string as a list of one.
func (o object) texts(name string) ([]string, error) {
	if o.absent(name) {
		return nil, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(o[name], &list) != nil {
		s, err := o.text(name)
		return []string{s}, err
	}
	texts := make([]string, len(list))
	for i, raw := range list {
		var err error
		if texts[i], err = textIn(fmt.Sprintf("%s[%d]", name, i), raw); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
