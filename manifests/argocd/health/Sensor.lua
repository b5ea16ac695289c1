-- A node that went silent or is blind is degraded; one that was never heard is on its way, as while pods start.
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

if is("Accepted", "False") then return {status = "Degraded", message = why("Accepted")} end
if found.Ready == nil or is("Ready", "Unknown") then return {status = "Progressing", message = "the operator has not looked at it yet"} end
for _, node in ipairs((status.nodes or {}).failing or {}) do
  if node.reason ~= "no sensor was heard" then
    return {status = "Degraded", message = why("Ready") .. "; " .. (node.node or "a node") .. ": " .. node.reason}
  end
end
if is("Ready", "True") or found.Ready.reason == "NoNodes" then return {status = "Healthy", message = why("Ready")} end
return {status = "Progressing", message = why("Ready")}
