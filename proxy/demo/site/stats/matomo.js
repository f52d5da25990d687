// Stands in for a Matomo that the site hosts itself.
(window.demoFired = window.demoFired || []).push("/stats/matomo.js");
document.cookie = "_pk_id.1.1fff=demo; path=/; max-age=33955200";
new Image().src = "/stats/matomo.php?idsite=1&rec=1";
