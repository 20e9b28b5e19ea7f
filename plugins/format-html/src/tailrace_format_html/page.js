for (const table of document.querySelectorAll("table.rows")) {
  const body = table.tBodies[0];
  const order = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const now = was === "ascending" ? "descending" : was === "descending" ? "" : "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (!now) return body.append(...order);
      head.setAttribute("aria-sort", now);
      const way = now === "ascending" ? 1 : -1;
      const numbers = head.classList.contains("n");
      const key = (row) => {
        const text = row.cells[index].textContent;
        if (!numbers) return text;
        const span = /^(-?)(\d+):(\d\d):(\d\d)$/.exec(text);
        if (span) return (span[1] ? -1 : 1) * (span[2] * 3600 + span[3] * 60 + +span[4]);
        return text === "∞" ? Infinity : text === "-∞" ? -Infinity : parseFloat(text.replaceAll(",", ""));
      };
      const rows = order.map((row) => [key(row), row]);
      const none = ([value]) => (numbers ? Number.isNaN(value) : value === "–");
      rows.sort((a, b) => none(a) - none(b) ||
        way * (numbers ? a[0] - b[0] || 0 : a[0].localeCompare(b[0], undefined, { numeric: true })));
      body.append(...rows.map(([, row]) => row));
    });
  });
}
