-- Finished is as it ended; what waits for a person is suspended.
local found, status = {}, obj.status or {}
for _, one in ipairs(status.conditions or {}) do
  if (one.observedGeneration or 0) >= (obj.metadata.generation or 0) then found[one.type] = one end
end
local function is(name, value) return found[name] ~= nil and found[name].status == value end
local function why(name)
  local one = found[name] or {reason = "NotYetSeen"}
  if one.message == nil or one.message == "" then return name .. ": " .. one.reason end
  return name .. ": " .. one.reason .. ": " .. one.message
end

if is("Succeeded", "True") then return {status = "Healthy", message = why("Succeeded")} end
if is("Succeeded", "False") then return {status = "Degraded", message = why("Succeeded")} end
for _, name in ipairs({"DryRunPassed", "Executed", "Verified"}) do
  if is(name, "False") then return {status = "Degraded", message = why(name)} end
end
if not is("Approved", "True") then return {status = "Suspended", message = why("Approved")} end
return {status = "Progressing", message = why(found.Executed and "Executed" or "Approved")}
