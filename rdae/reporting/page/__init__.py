"""The report: result files to one HTML page that needs nothing but a browser.

gather reads and compares the numbers, compare makes pictures at equal bytes or PSNR, embed puts pictures into the page
within its size, render writes what stands still, and build puts all of it into the template: report.html, .css, .js.
"""
