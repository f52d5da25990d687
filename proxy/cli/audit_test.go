package cli

import "testing"

// TestOptionsAfterOperands: options count wherever they stand, up to --.
func TestOptionsAfterOperands(t *testing.T) {
	const analytics = "https://www.google-analytics.com/g/collect"
	expect(t, exitOK, "explain "+analytics+" --kind image", "category  analytics")
	expect(t, exitUsage, "explain "+analytics+" --kind nothing", `--kind is "nothing"`)
	expect(t, exitUsage, "explain "+analytics+" --kin image", "not defined: -kin")
	expect(t, exitUsage, "explain "+analytics+" "+analytics+" --kind image", "one argument too many")
	expect(t, exitUsage, "explain -- --kind", `"--kind" is neither a file here nor an address`)
}
