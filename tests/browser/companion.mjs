// The same site with a companion tracker that is away: what waits for it, and what pages say meanwhile.
import { look } from "./looks.mjs";

/** Nobody listens there. */
export const away = {
  SEEDBANK__TRACKER__KIND: "torrust",
  SEEDBANK__TRACKER__API_URL: "http://127.0.0.1:9",
  SEEDBANK__TRACKER__API_TOKEN: "a token that nobody asks for",
  SEEDBANK__TRACKER__ANNOUNCE_URLS: "http://127.0.0.1:9/announce",
};

/** Presses a button that asks back, and says yes. */
async function confirmed(page, name) {
  await page.getByRole("main").getByRole("button", { name }).click();
  await page.getByRole("dialog").getByRole("button", { name }).click();
}

export async function companion(check, world) {
  await check("a new passkey waits for the tracker, and the admin sees it", { as: "vera", always: true }, async (page) => {
    await page.goto("/profile");
    await confirmed(page, "Reset the announce address");
    await page.getByText("Waiting for the tracker").waitFor();
    await page.getByText("not counted by this tracker").waitFor();
    await page.goto("/admin/tracker");
    await page.getByRole("row", { name: /admit passkey of vera/ }).waitFor();
    await page.getByRole("row", { name: /refuse passkey of vera/ }).waitFor();
    for (let tries = 0; !(await page.getByText("The tracker fails").isVisible()); tries++) {
      if (tries > 40) throw new Error("the page does not say that the tracker fails");
      await page.waitForTimeout(250);
      await page.reload();
    }
    await confirmed(page, "Tell it everything again");
    await page.getByText("The tracker is being told everything again").waitFor();
  });
  await look(check, "tracker that is away", "vera", "/admin/tracker");
  await look(check, "profile without a count", "vera", "/profile");
  await look(check, "torrent whose tracker is away", "vera", world.torrentPath);
}
