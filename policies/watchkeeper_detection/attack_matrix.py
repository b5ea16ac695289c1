"""Rows of MITRE ATT&CK for Enterprise, v19.1: id | name | tactics | platforms. Data only; `attack.py` reads it.

Facts from MITRE's STIX data of v19 (published 2026-04-14, 697 techniques; read 2026-11-25 through two public derivations of it that agree), platforms of the 72
techniques that one of them leaves out (network-only ones) from v18. Platforms: C Containers, I IaaS, P Identity Provider, S SaaS, O Office Suite, L Linux, W Windows,
M macOS, E ESXi, N Network Devices, R PRE.

© 2026 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation. (See NOTICE.)
"""

ROWS = """
T1001|Data Obfuscation|command-and-control|LWME
T1001.001|Junk Data|command-and-control|LWME
T1001.002|Steganography|command-and-control|LWME
T1001.003|Protocol or Service Impersonation|command-and-control|LWME
T1003|OS Credential Dumping|credential-access|LWM
T1003.001|LSASS Memory|credential-access|W
T1003.002|Security Account Manager|credential-access|W
T1003.003|NTDS|credential-access|W
T1003.004|LSA Secrets|credential-access|W
T1003.005|Cached Domain Credentials|credential-access|LW
T1003.006|DCSync|credential-access|W
T1003.007|Proc Filesystem|credential-access|L
T1003.008|/etc/passwd and /etc/shadow|credential-access|L
T1005|Data from Local System|collection|LWMEN
T1006|Direct Volume Access|stealth|WN
T1007|System Service Discovery|discovery|LWM
T1008|Fallback Channels|command-and-control|LWME
T1010|Application Window Discovery|discovery|LWM
T1011|Exfiltration Over Other Network Medium|exfiltration|LWM
T1011.001|Exfiltration Over Bluetooth|exfiltration|LWM
T1012|Query Registry|discovery|W
T1014|Rootkit|stealth|LWM
T1016|System Network Configuration Discovery|discovery|LWMEN
T1016.001|Internet Connection Discovery|discovery|LWME
T1016.002|Wi-Fi Discovery|discovery|LWM
T1018|Remote System Discovery|discovery|LWMEN
T1020|Automated Exfiltration|exfiltration|LWMN
T1020.001|Traffic Duplication|exfiltration|IN
T1021|Remote Services|lateral-movement|ILWME
T1021.001|Remote Desktop Protocol|lateral-movement|W
T1021.002|SMB/Windows Admin Shares|lateral-movement|W
T1021.003|Distributed Component Object Model|lateral-movement|W
T1021.004|SSH|lateral-movement|LME
T1021.005|VNC|lateral-movement|LWM
T1021.006|Windows Remote Management|lateral-movement|W
T1021.007|Cloud Services|lateral-movement|IPSO
T1021.008|Direct Cloud VM Connections|lateral-movement|I
T1025|Data from Removable Media|collection|LWM
T1027|Obfuscated Files or Information|stealth|LWMEN
T1027.001|Binary Padding|stealth|LWM
T1027.002|Software Packing|stealth|LWM
T1027.003|Steganography|stealth|LWM
T1027.004|Compile After Delivery|stealth|LWM
T1027.005|Indicator Removal from Tools|stealth|LWM
T1027.006|HTML Smuggling|stealth|LWM
T1027.007|Dynamic API Resolution|stealth|W
T1027.008|Stripped Payloads|stealth|LWMN
T1027.009|Embedded Payloads|stealth|LWM
T1027.010|Command Obfuscation|stealth|LWM
T1027.011|Fileless Storage|stealth|LW
T1027.012|LNK Icon Smuggling|stealth|W
T1027.013|Encrypted/Encoded File|stealth|LWM
T1027.014|Polymorphic Code|stealth|LWM
T1027.015|Compression|stealth|LWM
T1027.016|Junk Code Insertion|stealth|LWM
T1027.017|SVG Smuggling|stealth|LWM
T1027.018|Invisible Unicode|stealth|LWM
T1029|Scheduled Transfer|exfiltration|LWM
T1030|Data Transfer Size Limits|exfiltration|LWME
T1033|System Owner/User Discovery|discovery|LWMN
T1036|Masquerading|stealth|CLWME
T1036.001|Invalid Code Signature|stealth|WM
T1036.002|Right-to-Left Override|stealth|LWM
T1036.003|Rename Legitimate Utilities|stealth|LWM
T1036.004|Masquerade Task or Service|stealth|LWM
T1036.005|Match Legitimate Resource Name or Location|stealth|CLWME
T1036.006|Space after Filename|stealth|LM
T1036.007|Double File Extension|stealth|W
T1036.008|Masquerade File Type|stealth|LWM
T1036.009|Break Process Trees|stealth|LM
T1036.010|Masquerade Account Name|stealth|CIPSOLWM
T1036.011|Overwrite Process Arguments|stealth|L
T1036.012|Browser Fingerprint|stealth|LWM
T1037|Boot or Logon Initialization Scripts|persistence privilege-escalation|LWMEN
T1037.001|Logon Script (Windows)|persistence privilege-escalation|W
T1037.002|Login Hook|persistence privilege-escalation|M
T1037.003|Network Logon Script|persistence privilege-escalation|W
T1037.004|RC Scripts|persistence privilege-escalation|LMEN
T1037.005|Startup Items|persistence privilege-escalation|M
T1039|Data from Network Shared Drive|collection|LWM
T1040|Network Sniffing|credential-access discovery|ILWMN
T1041|Exfiltration Over C2 Channel|exfiltration|LWME
T1046|Network Service Discovery|discovery|CILWMN
T1047|Windows Management Instrumentation|execution|W
T1048|Exfiltration Over Alternative Protocol|exfiltration|ISOLWMEN
T1048.001|Exfiltration Over Symmetric Encrypted Non-C2 Protocol|exfiltration|LWME
T1048.002|Exfiltration Over Asymmetric Encrypted Non-C2 Protocol|exfiltration|LWME
T1048.003|Exfiltration Over Unencrypted Non-C2 Protocol|exfiltration|LWMEN
T1049|System Network Connections Discovery|discovery|ILWMEN
T1052|Exfiltration Over Physical Medium|exfiltration|LWM
T1052.001|Exfiltration over USB|exfiltration|LWM
T1053|Scheduled Task/Job|execution persistence privilege-escalation|CLWMEN
T1053.002|At|execution persistence privilege-escalation|LWM
T1053.003|Cron|execution persistence privilege-escalation|LME
T1053.005|Scheduled Task|execution persistence privilege-escalation|W
T1053.006|Systemd Timers|execution persistence privilege-escalation|L
T1053.007|Container Orchestration Job|execution persistence privilege-escalation|C
T1055|Process Injection|privilege-escalation stealth|LWM
T1055.001|Dynamic-link Library Injection|privilege-escalation stealth|W
T1055.002|Portable Executable Injection|privilege-escalation stealth|W
T1055.003|Thread Execution Hijacking|privilege-escalation stealth|W
T1055.004|Asynchronous Procedure Call|privilege-escalation stealth|W
T1055.005|Thread Local Storage|privilege-escalation stealth|W
T1055.008|Ptrace System Calls|privilege-escalation stealth|L
T1055.009|Proc Memory|privilege-escalation stealth|L
T1055.011|Extra Window Memory Injection|privilege-escalation stealth|W
T1055.012|Process Hollowing|privilege-escalation stealth|W
T1055.013|Process Doppelgänging|privilege-escalation stealth|W
T1055.014|VDSO Hijacking|privilege-escalation stealth|L
T1055.015|ListPlanting|privilege-escalation stealth|W
T1056|Input Capture|credential-access collection|LWMN
T1056.001|Keylogging|credential-access collection|LWMN
T1056.002|GUI Input Capture|credential-access collection|LWM
T1056.003|Web Portal Capture|credential-access collection|LWM
T1056.004|Credential API Hooking|credential-access collection|LWM
T1057|Process Discovery|discovery|LWMEN
T1059|Command and Scripting Interpreter|execution|CIPSOLWMEN
T1059.001|PowerShell|execution|W
T1059.002|AppleScript|execution|M
T1059.003|Windows Command Shell|execution|W
T1059.004|Unix Shell|execution|LMEN
T1059.005|Visual Basic|execution|LWM
T1059.006|Python|execution|LWME
T1059.007|JavaScript|execution|LWM
T1059.008|Network Device CLI|execution|N
T1059.009|Cloud API|execution|IPSO
T1059.010|AutoHotKey & AutoIT|execution|W
T1059.011|Lua|execution|LWMN
T1059.012|Hypervisor CLI|execution|E
T1059.013|Container CLI/API|execution|C
T1068|Exploitation for Privilege Escalation|privilege-escalation|CLWM
T1069|Permission Groups Discovery|discovery|CIPSOLWM
T1069.001|Local Groups|discovery|LWM
T1069.002|Domain Groups|discovery|LWM
T1069.003|Cloud Groups|discovery|IPSO
T1070|Indicator Removal|stealth|COLWMEN
T1070.003|Clear Command History|stealth|LWMEN
T1070.004|File Deletion|stealth|LWME
T1070.005|Network Share Connection Removal|stealth|W
T1070.006|Timestomp|stealth|LWME
T1070.007|Clear Network Connection History and Configurations|stealth|LWMN
T1070.008|Clear Mailbox Data|stealth|OLWM
T1070.009|Clear Persistence|stealth|LWME
T1070.010|Relocate Malware|stealth|LWMN
T1071|Application Layer Protocol|command-and-control|LWMEN
T1071.001|Web Protocols|command-and-control|LWMEN
T1071.002|File Transfer Protocols|command-and-control|LWMEN
T1071.003|Mail Protocols|command-and-control|LWMN
T1071.004|DNS|command-and-control|LWMEN
T1071.005|Publish/Subscribe Protocols|command-and-control|LWMN
T1072|Software Deployment Tools|execution lateral-movement|SLWMN
T1074|Data Staged|collection|ILWME
T1074.001|Local Data Staging|collection|LWME
T1074.002|Remote Data Staging|collection|ILWME
T1078|Valid Accounts|initial-access persistence privilege-escalation stealth|CIPSOLWMEN
T1078.001|Default Accounts|initial-access persistence privilege-escalation stealth|CIPSOLWMEN
T1078.002|Domain Accounts|initial-access persistence privilege-escalation stealth|LWME
T1078.003|Local Accounts|initial-access persistence privilege-escalation stealth|CLWMEN
T1078.004|Cloud Accounts|initial-access persistence privilege-escalation stealth|IPSO
T1080|Taint Shared Content|lateral-movement|SOLWM
T1082|System Information Discovery|discovery|ILWMEN
T1083|File and Directory Discovery|discovery|LWMEN
T1087|Account Discovery|discovery|IPSOLWME
T1087.001|Local Account|discovery|LWME
T1087.002|Domain Account|discovery|LWM
T1087.003|Email Account|discovery|OW
T1087.004|Cloud Account|discovery|IPSO
T1090|Proxy|command-and-control|LWMEN
T1090.001|Internal Proxy|command-and-control|LWMEN
T1090.002|External Proxy|command-and-control|LWMEN
T1090.003|Multi-hop Proxy|command-and-control|LWMEN
T1090.004|Domain Fronting|command-and-control|LWME
T1091|Replication Through Removable Media|initial-access lateral-movement|W
T1092|Communication Through Removable Media|command-and-control|LWM
T1095|Non-Application Layer Protocol|command-and-control|LWMEN
T1098|Account Manipulation|persistence privilege-escalation|CIPSOLWMEN
T1098.001|Additional Cloud Credentials|persistence privilege-escalation|IPS
T1098.002|Additional Email Delegate Permissions|persistence privilege-escalation|OW
T1098.003|Additional Cloud Roles|persistence privilege-escalation|IPSO
T1098.004|SSH Authorized Keys|persistence privilege-escalation|ILMEN
T1098.005|Device Registration|persistence privilege-escalation|PW
T1098.006|Additional Container Cluster Roles|persistence privilege-escalation|C
T1098.007|Additional Local or Domain Groups|persistence privilege-escalation|LWM
T1102|Web Service|command-and-control|LWME
T1102.001|Dead Drop Resolver|command-and-control|LWME
T1102.002|Bidirectional Communication|command-and-control|LWME
T1102.003|One-Way Communication|command-and-control|LWME
T1104|Multi-Stage Channels|command-and-control|LWME
T1105|Ingress Tool Transfer|command-and-control|LWMEN
T1106|Native API|execution|LWM
T1110|Brute Force|credential-access|CIPSOLWMEN
T1110.001|Password Guessing|credential-access|CIPSOLWMEN
T1110.002|Password Cracking|credential-access|POLWMN
T1110.003|Password Spraying|credential-access|CIPSOLWMEN
T1110.004|Credential Stuffing|credential-access|CIPSOLWMEN
T1111|Multi-Factor Authentication Interception|credential-access|LWM
T1112|Modify Registry|persistence defense-impairment|W
T1113|Screen Capture|collection|LWM
T1114|Email Collection|collection|OLWM
T1114.001|Local Email Collection|collection|W
T1114.002|Remote Email Collection|collection|OW
T1114.003|Email Forwarding Rule|collection|OLWM
T1115|Clipboard Data|collection|LWM
T1119|Automated Collection|collection|ISOLWM
T1120|Peripheral Device Discovery|discovery|LWM
T1123|Audio Capture|collection|LWM
T1124|System Time Discovery|discovery|LWMEN
T1125|Video Capture|collection|LWM
T1127|Trusted Developer Utilities Proxy Execution|execution stealth|W
T1127.001|MSBuild|execution stealth|W
T1127.002|ClickOnce|execution stealth|W
T1127.003|JamPlus|execution stealth|W
T1129|Shared Modules|execution|LWM
T1132|Data Encoding|command-and-control|LWME
T1132.001|Standard Encoding|command-and-control|LWME
T1132.002|Non-Standard Encoding|command-and-control|LWME
T1133|External Remote Services|initial-access persistence|CLWM
T1134|Access Token Manipulation|privilege-escalation stealth|W
T1134.001|Token Impersonation/Theft|privilege-escalation stealth|W
T1134.002|Create Process with Token|privilege-escalation stealth|W
T1134.003|Make and Impersonate Token|privilege-escalation stealth|W
T1134.004|Parent PID Spoofing|privilege-escalation stealth|W
T1134.005|SID-History Injection|privilege-escalation stealth|W
T1135|Network Share Discovery|discovery|LWM
T1136|Create Account|persistence|CIPSOLWMEN
T1136.001|Local Account|persistence|CLWMEN
T1136.002|Domain Account|persistence|LWM
T1136.003|Cloud Account|persistence|IPSO
T1137|Office Application Startup|persistence|OW
T1137.001|Office Template Macros|persistence|OW
T1137.002|Office Test|persistence|OW
T1137.003|Outlook Forms|persistence|OW
T1137.004|Outlook Home Page|persistence|OW
T1137.005|Outlook Rules|persistence|OW
T1137.006|Add-ins|persistence|OW
T1140|Deobfuscate/Decode Files or Information|stealth|LWME
T1176|Software Extensions|persistence|LWM
T1176.001|Browser Extensions|persistence|LWM
T1176.002|IDE Extensions|persistence|LWM
T1185|Browser Session Hijacking|collection|W
T1187|Forced Authentication|credential-access|W
T1189|Drive-by Compromise|initial-access|PLWM
T1190|Exploit Public-Facing Application|initial-access|CILWMEN
T1195|Supply Chain Compromise|initial-access|SLWM
T1195.001|Compromise Software Dependencies and Development Tools|initial-access|LWM
T1195.002|Compromise Software Supply Chain|initial-access|LWM
T1195.003|Compromise Hardware Supply Chain|initial-access|LWM
T1197|BITS Jobs|execution persistence stealth|W
T1199|Trusted Relationship|initial-access|IPSOLWM
T1200|Hardware Additions|initial-access|LWM
T1201|Password Policy Discovery|discovery|IPSOLWMN
T1202|Indirect Command Execution|stealth|W
T1203|Exploitation for Client Execution|execution|LWM
T1204|User Execution|execution|CILWM
T1204.001|Malicious Link|execution|LWM
T1204.002|Malicious File|execution|LWM
T1204.003|Malicious Image|execution|CI
T1204.004|Malicious Copy and Paste|execution|LWM
T1204.005|Malicious Library|execution|LWM
T1205|Traffic Signaling|persistence stealth command-and-control|LWMN
T1205.001|Port Knocking|persistence stealth command-and-control|LWMN
T1205.002|Socket Filters|persistence stealth command-and-control|LWM
T1207|Rogue Domain Controller|defense-impairment|W
T1210|Exploitation of Remote Services|lateral-movement|LWME
T1211|Exploitation for Stealth|stealth|ISLWM
T1212|Exploitation for Credential Access|credential-access|PLWM
T1213|Data from Information Repositories|collection|ISOLWM
T1213.001|Confluence|collection|S
T1213.002|Sharepoint|collection|OW
T1213.003|Code Repositories|collection|S
T1213.004|Customer Relationship Management Software|collection|S
T1213.005|Messaging Applications|collection|SO
T1213.006|Databases|collection|ISLWM
T1216|System Script Proxy Execution|stealth|W
T1216.001|PubPrn|stealth|W
T1216.002|SyncAppvPublishingServer|stealth|W
T1217|Browser Information Discovery|discovery|LWM
T1218|System Binary Proxy Execution|stealth|LWM
T1218.001|Compiled HTML File|stealth|W
T1218.002|Control Panel|stealth|W
T1218.003|CMSTP|stealth|W
T1218.004|InstallUtil|stealth|W
T1218.005|Mshta|stealth|W
T1218.007|Msiexec|stealth|W
T1218.008|Odbcconf|stealth|W
T1218.009|Regsvcs/Regasm|stealth|W
T1218.010|Regsvr32|stealth|W
T1218.011|Rundll32|stealth|W
T1218.012|Verclsid|stealth|W
T1218.013|Mavinject|stealth|W
T1218.014|MMC|stealth|W
T1218.015|Electron Applications|stealth|LWM
T1219|Remote Access Tools|command-and-control|LWM
T1219.001|IDE Tunneling|command-and-control|LWM
T1219.002|Remote Desktop Software|command-and-control|LWM
T1219.003|Remote Access Hardware|command-and-control|LWM
T1220|XSL Script Processing|stealth|W
T1221|Template Injection|stealth|W
T1222|File and Directory Permissions Modification|defense-impairment|LWME
T1222.001|Windows Permissions|defense-impairment|W
T1222.002|Linux and Mac Permissions|defense-impairment|LM
T1480|Execution Guardrails|stealth|LWME
T1480.001|Environmental Keying|stealth|LWM
T1480.002|Mutual Exclusion|stealth|LWM
T1482|Domain Trust Discovery|discovery|W
T1484|Domain or Tenant Policy Modification|privilege-escalation defense-impairment|PW
T1484.001|Group Policy Modification|privilege-escalation defense-impairment|W
T1484.002|Trust Modification|privilege-escalation defense-impairment|PW
T1485|Data Destruction|impact|CILWME
T1485.001|Lifecycle-Triggered Deletion|impact|I
T1486|Data Encrypted for Impact|impact|ILWME
T1489|Service Stop|impact|ILWME
T1490|Inhibit System Recovery|impact|CILWMEN
T1491|Defacement|impact|ILWME
T1491.001|Internal Defacement|impact|LWME
T1491.002|External Defacement|impact|ILWM
T1495|Firmware Corruption|impact|LWMN
T1496|Resource Hijacking|impact|CISLWM
T1496.001|Compute Hijacking|impact|CILWM
T1496.002|Bandwidth Hijacking|impact|CILWM
T1496.003|SMS Pumping|impact|S
T1496.004|Cloud Service Hijacking|impact|S
T1497|Virtualization/Sandbox Evasion|stealth discovery|LWM
T1497.001|System Checks|stealth discovery|LWM
T1497.002|User Activity Based Checks|stealth discovery|LWM
T1497.003|Time Based Checks|stealth discovery|LWM
T1498|Network Denial of Service|impact|CILWM
T1498.001|Direct Network Flood|impact|ILWM
T1498.002|Reflection Amplification|impact|ILWM
T1499|Endpoint Denial of Service|impact|CILWM
T1499.001|OS Exhaustion Flood|impact|LWM
T1499.002|Service Exhaustion Flood|impact|ILWM
T1499.003|Application Exhaustion Flood|impact|ILWM
T1499.004|Application or System Exploitation|impact|ILWM
T1505|Server Software Component|persistence|LWMEN
T1505.001|SQL Stored Procedures|persistence|LW
T1505.002|Transport Agent|persistence|LW
T1505.003|Web Shell|persistence|LWMN
T1505.004|IIS Components|persistence|W
T1505.005|Terminal Services DLL|persistence|W
T1505.006|vSphere Installation Bundles|persistence|E
T1518|Software Discovery|discovery|ILWME
T1518.001|Security Software Discovery|discovery|ILWM
T1518.002|Backup Software Discovery|discovery|LWM
T1525|Implant Internal Image|persistence|CI
T1526|Cloud Service Discovery|discovery|IPSO
T1528|Steal Application Access Token|credential-access|CIPSO
T1529|System Shutdown/Reboot|impact|LWMEN
T1530|Data from Cloud Storage|collection|ISO
T1531|Account Access Removal|impact|ISOLWME
T1534|Internal Spearphishing|lateral-movement|SOLWM
T1535|Unused/Unsupported Cloud Regions|stealth|I
T1537|Transfer Data to Cloud Account|exfiltration|ISO
T1538|Cloud Service Dashboard|discovery|IPSO
T1539|Steal Web Session Cookie|credential-access|SOLWM
T1542|Pre-OS Boot|persistence stealth|LWMN
T1542.001|System Firmware|persistence stealth|WN
T1542.002|Component Firmware|persistence stealth|LWM
T1542.003|Bootkit|persistence stealth|LW
T1542.004|ROMMONkit|persistence stealth|N
T1542.005|TFTP Boot|persistence stealth|N
T1543|Create or Modify System Process|persistence privilege-escalation|CLWM
T1543.001|Launch Agent|persistence privilege-escalation|M
T1543.002|Systemd Service|persistence privilege-escalation|L
T1543.003|Windows Service|persistence privilege-escalation|W
T1543.004|Launch Daemon|persistence privilege-escalation|M
T1543.005|Container Service|persistence privilege-escalation|C
T1546|Event Triggered Execution|persistence privilege-escalation|ISOLWM
T1546.001|Change Default File Association|persistence privilege-escalation|W
T1546.002|Screensaver|persistence privilege-escalation|W
T1546.003|Windows Management Instrumentation Event Subscription|persistence privilege-escalation|W
T1546.004|Unix Shell Configuration Modification|persistence privilege-escalation|LM
T1546.005|Trap|persistence privilege-escalation|LM
T1546.006|LC_LOAD_DYLIB Addition|persistence privilege-escalation|M
T1546.007|Netsh Helper DLL|persistence privilege-escalation|W
T1546.008|Accessibility Features|persistence privilege-escalation|W
T1546.009|AppCert DLLs|persistence privilege-escalation|W
T1546.010|AppInit DLLs|persistence privilege-escalation|W
T1546.011|Application Shimming|persistence privilege-escalation|W
T1546.012|Image File Execution Options Injection|persistence privilege-escalation|W
T1546.013|PowerShell Profile|persistence privilege-escalation|W
T1546.014|Emond|persistence privilege-escalation|M
T1546.015|Component Object Model Hijacking|persistence privilege-escalation|W
T1546.016|Installer Packages|persistence privilege-escalation|LWM
T1546.017|Udev Rules|persistence privilege-escalation|L
T1546.018|Python Startup Hooks|persistence privilege-escalation|LWM
T1547|Boot or Logon Autostart Execution|persistence privilege-escalation|LWMN
T1547.001|Registry Run Keys / Startup Folder|persistence privilege-escalation|W
T1547.002|Authentication Package|persistence privilege-escalation|W
T1547.003|Time Providers|persistence privilege-escalation|W
T1547.004|Winlogon Helper DLL|persistence privilege-escalation|W
T1547.005|Security Support Provider|persistence privilege-escalation|W
T1547.006|Kernel Modules and Extensions|persistence privilege-escalation|LM
T1547.007|Re-opened Applications|persistence privilege-escalation|M
T1547.008|LSASS Driver|persistence privilege-escalation|W
T1547.009|Shortcut Modification|persistence privilege-escalation|W
T1547.010|Port Monitors|persistence privilege-escalation|W
T1547.012|Print Processors|persistence privilege-escalation|W
T1547.013|XDG Autostart Entries|persistence privilege-escalation|L
T1547.014|Active Setup|persistence privilege-escalation|W
T1547.015|Login Items|persistence privilege-escalation|M
T1548|Abuse Elevation Control Mechanism|privilege-escalation|IPOLWM
T1548.001|Setuid and Setgid|privilege-escalation|LM
T1548.002|Bypass User Account Control|privilege-escalation|W
T1548.003|Sudo and Sudo Caching|privilege-escalation|LM
T1548.004|Elevated Execution with Prompt|privilege-escalation|M
T1548.005|Temporary Elevated Cloud Access|privilege-escalation|IPO
T1548.006|TCC Manipulation|privilege-escalation|M
T1550|Use Alternate Authentication Material|lateral-movement|CIPSOLW
T1550.001|Application Access Token|lateral-movement|CIPSO
T1550.002|Pass the Hash|lateral-movement|W
T1550.003|Pass the Ticket|lateral-movement|W
T1550.004|Web Session Cookie|lateral-movement|ISO
T1552|Unsecured Credentials|credential-access|CIPSOLWMN
T1552.001|Credentials In Files|credential-access|CILWM
T1552.002|Credentials in Registry|credential-access|W
T1552.003|Shell History|credential-access|LWM
T1552.004|Private Keys|credential-access|LWMN
T1552.005|Cloud Instance Metadata API|credential-access|I
T1552.006|Group Policy Preferences|credential-access|W
T1552.007|Container API|credential-access|C
T1552.008|Chat Messages|credential-access|SO
T1553|Subvert Trust Controls|defense-impairment|LWM
T1553.001|Gatekeeper Bypass|defense-impairment|M
T1553.002|Code Signing|defense-impairment|WM
T1553.003|SIP and Trust Provider Hijacking|defense-impairment|W
T1553.004|Install Root Certificate|defense-impairment|LWM
T1553.005|Mark-of-the-Web Bypass|defense-impairment|W
T1553.006|Code Signing Policy Modification|defense-impairment|WM
T1554|Compromise Host Software Binary|persistence|LWME
T1555|Credentials from Password Stores|credential-access|ILWM
T1555.001|Keychain|credential-access|M
T1555.002|Securityd Memory|credential-access|LM
T1555.003|Credentials from Web Browsers|credential-access|LWM
T1555.004|Windows Credential Manager|credential-access|W
T1555.005|Password Managers|credential-access|LWM
T1555.006|Cloud Secrets Management Stores|credential-access|I
T1556|Modify Authentication Process|persistence defense-impairment credential-access|IPSOLWMN
T1556.001|Domain Controller Authentication|persistence defense-impairment credential-access|W
T1556.002|Password Filter DLL|persistence defense-impairment credential-access|W
T1556.003|Pluggable Authentication Modules|persistence defense-impairment credential-access|LM
T1556.004|Network Device Authentication|persistence defense-impairment credential-access|N
T1556.005|Reversible Encryption|persistence defense-impairment credential-access|W
T1556.006|Multi-Factor Authentication|persistence defense-impairment credential-access|IPSOLWM
T1556.007|Hybrid Identity|persistence defense-impairment credential-access|IPSOW
T1556.008|Network Provider DLL|persistence defense-impairment credential-access|W
T1556.009|Conditional Access Policies|persistence defense-impairment credential-access|IP
T1557|Adversary-in-the-Middle|credential-access collection|LWMN
T1557.001|Name Resolution Poisoning and SMB Relay|credential-access collection|W
T1557.002|ARP Cache Poisoning|credential-access collection|LWM
T1557.003|DHCP Spoofing|credential-access collection|LWM
T1557.004|Evil Twin|credential-access collection|N
T1558|Steal or Forge Kerberos Tickets|credential-access|LWM
T1558.001|Golden Ticket|credential-access|W
T1558.002|Silver Ticket|credential-access|W
T1558.003|Kerberoasting|credential-access|W
T1558.004|AS-REP Roasting|credential-access|W
T1558.005|Ccache Files|credential-access|LM
T1559|Inter-Process Communication|execution|LWM
T1559.001|Component Object Model|execution|W
T1559.002|Dynamic Data Exchange|execution|W
T1559.003|XPC Services|execution|M
T1560|Archive Collected Data|collection|LWM
T1560.001|Archive via Utility|collection|LWM
T1560.002|Archive via Library|collection|LWM
T1560.003|Archive via Custom Method|collection|LWM
T1561|Disk Wipe|impact|LWMN
T1561.001|Disk Content Wipe|impact|LWMN
T1561.002|Disk Structure Wipe|impact|LWMN
T1563|Remote Service Session Hijacking|lateral-movement|LWM
T1563.001|SSH Hijacking|lateral-movement|LM
T1563.002|RDP Hijacking|lateral-movement|W
T1564|Hide Artifacts|stealth|OLWME
T1564.001|Hidden Files and Directories|stealth|LWM
T1564.002|Hidden Users|stealth|LWM
T1564.003|Hidden Window|stealth|LWM
T1564.004|NTFS File Attributes|stealth|W
T1564.005|Hidden File System|stealth|LWM
T1564.006|Run Virtual Instance|stealth|LWME
T1564.007|VBA Stomping|stealth|LWM
T1564.008|Email Hiding Rules|stealth|OLWM
T1564.009|Resource Forking|stealth|M
T1564.010|Process Argument Spoofing|stealth|W
T1564.011|Ignore Process Interrupts|stealth|LWM
T1564.012|File/Path Exclusions|stealth|LWM
T1564.013|Bind Mounts|stealth|L
T1564.014|Extended Attributes|stealth|LM
T1565|Data Manipulation|impact|LWM
T1565.001|Stored Data Manipulation|impact|LWM
T1565.002|Transmitted Data Manipulation|impact|LWM
T1565.003|Runtime Data Manipulation|impact|LWM
T1566|Phishing|initial-access|PSOLWM
T1566.001|Spearphishing Attachment|initial-access|LWM
T1566.002|Spearphishing Link|initial-access|PSOLWM
T1566.003|Spearphishing via Service|initial-access|LWM
T1566.004|Spearphishing Voice|initial-access|PLWM
T1567|Exfiltration Over Web Service|exfiltration|SOLWME
T1567.001|Exfiltration to Code Repository|exfiltration|LWME
T1567.002|Exfiltration to Cloud Storage|exfiltration|LWME
T1567.003|Exfiltration to Text Storage Sites|exfiltration|LWME
T1567.004|Exfiltration Over Webhook|exfiltration|SOLWME
T1568|Dynamic Resolution|command-and-control|LWME
T1568.001|Fast Flux DNS|command-and-control|LWME
T1568.002|Domain Generation Algorithms|command-and-control|LWME
T1568.003|DNS Calculation|command-and-control|LWME
T1569|System Services|execution|LWM
T1569.001|Launchctl|execution|M
T1569.002|Service Execution|execution|W
T1569.003|Systemctl|execution|L
T1570|Lateral Tool Transfer|lateral-movement|LWME
T1571|Non-Standard Port|command-and-control|LWME
T1572|Protocol Tunneling|command-and-control|LWME
T1573|Encrypted Channel|command-and-control|LWMEN
T1573.001|Symmetric Cryptography|command-and-control|LWMEN
T1573.002|Asymmetric Cryptography|command-and-control|LWMEN
T1574|Hijack Execution Flow|execution stealth|LWM
T1574.001|DLL|execution stealth|W
T1574.004|Dylib Hijacking|execution stealth|M
T1574.005|Executable Installer File Permissions Weakness|execution stealth|W
T1574.006|Dynamic Linker Hijacking|execution stealth|LM
T1574.007|Path Interception by PATH Environment Variable|execution stealth|LWM
T1574.008|Path Interception by Search Order Hijacking|execution stealth|W
T1574.009|Path Interception by Unquoted Path|execution stealth|W
T1574.010|Services File Permissions Weakness|execution stealth|W
T1574.011|Services Registry Permissions Weakness|execution stealth|W
T1574.012|COR_PROFILER|execution stealth|W
T1574.013|KernelCallbackTable|execution stealth|W
T1574.014|AppDomainManager|execution stealth|W
T1578|Modify Cloud Compute Infrastructure|defense-impairment|I
T1578.001|Create Snapshot|defense-impairment|I
T1578.002|Create Cloud Instance|defense-impairment|I
T1578.003|Delete Cloud Instance|defense-impairment|I
T1578.004|Revert Cloud Instance|defense-impairment|I
T1578.005|Modify Cloud Compute Configurations|defense-impairment|I
T1580|Cloud Infrastructure Discovery|discovery|I
T1583|Acquire Infrastructure|resource-development|R
T1583.001|Domains|resource-development|R
T1583.002|DNS Server|resource-development|R
T1583.003|Virtual Private Server|resource-development|R
T1583.004|Server|resource-development|R
T1583.005|Botnet|resource-development|R
T1583.006|Web Services|resource-development|R
T1583.007|Serverless|resource-development|R
T1583.008|Malvertising|resource-development|R
T1584|Compromise Infrastructure|resource-development|R
T1584.001|Domains|resource-development|R
T1584.002|DNS Server|resource-development|R
T1584.003|Virtual Private Server|resource-development|R
T1584.004|Server|resource-development|R
T1584.005|Botnet|resource-development|R
T1584.006|Web Services|resource-development|R
T1584.007|Serverless|resource-development|R
T1584.008|Network Devices|resource-development|R
T1585|Establish Accounts|resource-development|R
T1585.001|Social Media Accounts|resource-development|R
T1585.002|Email Accounts|resource-development|R
T1585.003|Cloud Accounts|resource-development|R
T1586|Compromise Accounts|resource-development|R
T1586.001|Social Media Accounts|resource-development|R
T1586.002|Email Accounts|resource-development|R
T1586.003|Cloud Accounts|resource-development|R
T1587|Develop Capabilities|resource-development|R
T1587.001|Malware|resource-development|R
T1587.002|Code Signing Certificates|resource-development|R
T1587.003|Digital Certificates|resource-development|R
T1587.004|Exploits|resource-development|R
T1588|Obtain Capabilities|resource-development|R
T1588.001|Malware|resource-development|R
T1588.002|Tool|resource-development|R
T1588.003|Code Signing Certificates|resource-development|R
T1588.004|Digital Certificates|resource-development|R
T1588.005|Exploits|resource-development|R
T1588.006|Vulnerabilities|resource-development|R
T1588.007|Artificial Intelligence|resource-development|R
T1589|Gather Victim Identity Information|reconnaissance|R
T1589.001|Credentials|reconnaissance|R
T1589.002|Email Addresses|reconnaissance|R
T1589.003|Employee Names|reconnaissance|R
T1590|Gather Victim Network Information|reconnaissance|R
T1590.001|Domain Properties|reconnaissance|R
T1590.002|DNS|reconnaissance|R
T1590.003|Network Trust Dependencies|reconnaissance|R
T1590.004|Network Topology|reconnaissance|R
T1590.005|IP Addresses|reconnaissance|R
T1590.006|Network Security Appliances|reconnaissance|R
T1591|Gather Victim Org Information|reconnaissance|R
T1591.001|Determine Physical Locations|reconnaissance|R
T1591.002|Business Relationships|reconnaissance|R
T1591.003|Identify Business Tempo|reconnaissance|R
T1591.004|Identify Roles|reconnaissance|R
T1592|Gather Victim Host Information|reconnaissance|R
T1592.001|Hardware|reconnaissance|R
T1592.002|Software|reconnaissance|R
T1592.003|Firmware|reconnaissance|R
T1592.004|Client Configurations|reconnaissance|R
T1593|Search Open Websites/Domains|reconnaissance|R
T1593.001|Social Media|reconnaissance|R
T1593.002|Search Engines|reconnaissance|R
T1593.003|Code Repositories|reconnaissance|R
T1594|Search Victim-Owned Websites|reconnaissance|R
T1595|Active Scanning|reconnaissance|R
T1595.001|Scanning IP Blocks|reconnaissance|R
T1595.002|Vulnerability Scanning|reconnaissance|R
T1595.003|Wordlist Scanning|reconnaissance|R
T1596|Search Open Technical Databases|reconnaissance|R
T1596.001|DNS/Passive DNS|reconnaissance|R
T1596.002|WHOIS|reconnaissance|R
T1596.003|Digital Certificates|reconnaissance|R
T1596.004|CDNs|reconnaissance|R
T1596.005|Scan Databases|reconnaissance|R
T1597|Search Closed Sources|reconnaissance|R
T1597.001|Threat Intel Vendors|reconnaissance|R
T1597.002|Purchase Technical Data|reconnaissance|R
T1598|Phishing for Information|reconnaissance|R
T1598.001|Spearphishing Service|reconnaissance|R
T1598.002|Spearphishing Attachment|reconnaissance|R
T1598.003|Spearphishing Link|reconnaissance|R
T1598.004|Spearphishing Voice|reconnaissance|R
T1599|Network Boundary Bridging|defense-impairment|N
T1599.001|Network Address Translation Traversal|defense-impairment|N
T1600|Weaken Encryption|defense-impairment|N
T1600.001|Reduce Key Space|defense-impairment|N
T1600.002|Disable Crypto Hardware|defense-impairment|N
T1601|Modify System Image|defense-impairment|N
T1601.001|Patch System Image|defense-impairment|N
T1601.002|Downgrade System Image|defense-impairment|N
T1602|Data from Configuration Repository|collection|N
T1602.001|SNMP (MIB Dump)|collection|N
T1602.002|Network Device Configuration Dump|collection|N
T1606|Forge Web Credentials|credential-access|IPSOLWM
T1606.001|Web Cookies|credential-access|ISLWM
T1606.002|SAML Tokens|credential-access|IPSOW
T1608|Stage Capabilities|resource-development|R
T1608.001|Upload Malware|resource-development|R
T1608.002|Upload Tool|resource-development|R
T1608.003|Install Digital Certificate|resource-development|R
T1608.004|Drive-by Target|resource-development|R
T1608.005|Link Target|resource-development|R
T1608.006|SEO Poisoning|resource-development|R
T1609|Container Administration Command|execution|C
T1610|Deploy Container|execution|C
T1611|Escape to Host|privilege-escalation|CLWE
T1612|Build Image on Host|stealth|C
T1613|Container and Resource Discovery|discovery|C
T1614|System Location Discovery|discovery|ILWM
T1614.001|System Language Discovery|discovery|LWM
T1615|Group Policy Discovery|discovery|W
T1619|Cloud Storage Object Discovery|discovery|I
T1620|Reflective Code Loading|stealth|LWM
T1621|Multi-Factor Authentication Request Generation|credential-access|IPSOLWM
T1622|Debugger Evasion|stealth discovery|LWM
T1647|Plist File Modification|defense-impairment|M
T1648|Serverless Execution|execution|ISO
T1649|Steal or Forge Authentication Certificates|credential-access|PLWM
T1650|Acquire Access|resource-development|R
T1651|Cloud Administration Command|execution|I
T1652|Device Driver Discovery|discovery|LWM
T1653|Power Settings|persistence|LWMN
T1654|Log Enumeration|discovery|ILWME
T1657|Financial Theft|impact|SOLWM
T1659|Content Injection|initial-access command-and-control|LWM
T1665|Hide Infrastructure|command-and-control|LWMEN
T1666|Modify Cloud Resource Hierarchy|defense-impairment|I
T1667|Email Bombing|impact|OLWM
T1668|Exclusive Control|persistence|LWM
T1669|Wi-Fi Networks|initial-access|LWMN
T1671|Cloud Application Integration|persistence|SO
T1673|Virtual Machine Discovery|discovery|LWME
T1674|Input Injection|execution|LWM
T1675|ESXi Administration Command|execution|E
T1677|Poisoned Pipeline Execution|execution|S
T1678|Delay Execution|stealth|LWM
T1679|Selective Exclusion|stealth|W
T1680|Local Storage Discovery|discovery|ILWME
T1681|Search Threat Vendor Data|reconnaissance|R
T1682|Query Public AI Services|reconnaissance|R
T1683|Generate Content|resource-development|R
T1683.001|Written Content|resource-development|R
T1683.002|Audio-Visual Content|resource-development|R
T1684|Social Engineering|stealth|SOLWM
T1684.001|Impersonation|stealth|SOLWM
T1684.002|Email Spoofing|stealth|OLWM
T1685|Disable or Modify Tools|defense-impairment|CILWMEN
T1685.001|Disable or Modify Windows Event Log|defense-impairment|W
T1685.002|Disable or Modify Cloud Log|defense-impairment|IPSO
T1685.003|Modify or Spoof Tool UI|defense-impairment|LWM
T1685.004|Disable or Modify Linux Audit System Log|defense-impairment|L
T1685.005|Clear Windows Event Logs|defense-impairment|W
T1685.006|Clear Linux or Mac System Logs|defense-impairment|LM
T1686|Disable or Modify System Firewall|defense-impairment|LWMEN
T1686.001|Cloud Firewall|defense-impairment|I
T1686.002|Network Device Firewall|defense-impairment|N
T1686.003|Windows Host Firewall|defense-impairment|W
T1687|Exploitation for Defense Impairment|defense-impairment|ISLWM
T1688|Safe Mode Boot|defense-impairment|W
T1689|Downgrade Attack|defense-impairment|LWM
T1690|Prevent Command History Logging|defense-impairment|LWMEN
"""
